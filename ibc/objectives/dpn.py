"""DPN, deep polarised network (Fan et al., IJCAI 2020): every output is pushed to the side of its class's target.

    L = mean over images of sum_k max(0, 1 - h_k target_k) + 0.1 mean h^2
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ibc.config import Config
from ibc.objectives.centres import class_centres, targets_of
from ibc.objectives.hashing import HashingObjective, HashPredictions, row_mean
from ibc.objectives.objective import BatchLabels, Term

SHRINKAGE = 0.1  # weight of the second term


class DpnObjective(HashingObjective):
    """``objective: dpn``."""

    def __init__(self, config: Config):
        super().__init__(config)
        self.register_buffer("centres", class_centres(config.model.class_num, config.model.code_len, config.seed))

    def hash_terms(self) -> tuple[Term, ...]:
        """Polarisation, and a bound on the outputs."""
        return (Term("loss_polarise", 1.0, lambda p, labels, done: self.polarisation(p, labels)),
                Term("loss_shrink", SHRINKAGE,
                     lambda p, labels, done: row_mean(p.h.square().mean(dim=1), labels[0])))

    def polarisation(self, found: HashPredictions, labels: BatchLabels) -> Tensor:
        """Hinge of each output against its target, sum over bits, mean over images."""
        wanted = targets_of(self.get_buffer("centres"), labels[0].targets, None)
        return row_mean(F.relu(1 - found.h * wanted).sum(dim=1), labels[0])
