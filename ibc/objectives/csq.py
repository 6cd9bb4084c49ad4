"""CSQ, central similarity quantisation (Yuan et al., CVPR 2020): every code is pulled to the centre of its class.

    L = mean BCE((tanh h + 1) / 2, (centre + 1) / 2) + 1e-3 mean (|tanh h| - 1)^2
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ibc.config import Config
from ibc.objectives.centres import class_centres, targets_of
from ibc.objectives.hashing import HashingObjective, HashPredictions, row_mean
from ibc.objectives.objective import BatchLabels, Term

QUANTISATION = 1e-3  # weight of the second term


class CsqObjective(HashingObjective):
    """``objective: csq``. An image with several labels has the majority of their centres."""

    MULTI_LABEL = True

    def __init__(self, config: Config):
        super().__init__(config)
        self.register_buffer("centres", class_centres(config.model.class_num, config.model.code_len, config.seed))

    def hash_terms(self) -> tuple[Term, ...]:
        """Distance to the centre, and quantisation."""
        return (Term("loss_centre", 1.0, lambda p, labels, done: self.centre_loss(p, labels)),
                Term("loss_quantise", QUANTISATION,
                     lambda p, labels, done: row_mean((p.h.tanh().abs() - 1).square().mean(dim=1), labels[0])))

    def centre_loss(self, found: HashPredictions, labels: BatchLabels) -> Tensor:
        """Binary cross-entropy of each bit with that of the centre, mean over bits and images."""
        wanted = targets_of(self.get_buffer("centres"), labels[0].targets, labels[0].vectors)
        # (tanh h + 1) / 2 is the sigmoid of 2 h.
        bits = F.binary_cross_entropy_with_logits(2 * found.h, (wanted + 1) / 2, reduction="none")
        return row_mean(bits.mean(dim=1), labels[0])
