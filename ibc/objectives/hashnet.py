"""HashNet (Cao et al., ICCV 2017): pairs of a class agree, others do not; tanh is sharpened towards the sign.

    L = weighted mean over pairs i != j of log(1 + exp(a x_i . x_j)) - s_ij a x_i . x_j,  x = tanh(beta h)

s_ij = 1 where the images share a class. a = 10 / K keeps the inner product of long codes in the range of the logistic
function. beta = sqrt(1 + 0.005 updates), as published. The weight of a pair is the number of all pairs over the number
of pairs of its kind, so that the few similar ones count as much as the others. The pairs are those of a batch; of
several processes, of all.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ibc.objectives.hashing import HashingObjective, HashPredictions
from ibc.objectives.objective import Term

SCALE = 10.0      # of the inner product, over K
SHARPENING = 5e-3


class HashNetObjective(HashingObjective):
    """``objective: hashnet``. Multi-label: images are similar that share a label."""

    MULTI_LABEL = COMPARES = True

    def hash_terms(self) -> tuple[Term, ...]:
        """One, over pairs."""
        return (Term("loss_pairs", 1.0, lambda p, labels, done: self.pair_loss(p, done)),)

    def pair_loss(self, found: HashPredictions, done: Tensor) -> Tensor:
        """The weighted mean over pairs of images with a class; 0 without any."""
        updates = done * (self.config.max_iter or 0)
        x = torch.tanh((1 + SHARPENING * updates).sqrt() * found.h)
        product = SCALE / x.shape[1] * (x @ x.T)
        known = found.targets >= 0
        pairs = known[:, None] & known & ~torch.eye(len(x), dtype=torch.bool, device=x.device)
        same = found.targets[:, None] == found.targets if found.vectors is None else found.vectors @ found.vectors.T > 0
        loss = F.softplus(product) - same * product
        kinds = [pairs & same, pairs & ~same]
        # Each kind of pair: the number of all pairs over that of its kind, times its sum, over the number of all pairs.
        return torch.stack([(loss * kind).sum() / kind.sum().clamp(min=1) for kind in kinds]).sum()
