"""GreedyHash (Su et al., NeurIPS 2018): the classifier sees signs, and the gradient passes them unchanged.

    L = CE(A sign(h) + a, y) + 0.1 mean ||h| - 1|^3,  A, a a classifier of its own
"""

from __future__ import annotations

from torch import nn

from ibc.config import Config
from ibc.losses import class_loss
from ibc.objectives.hashing import HashingObjective, row_mean, straight_through_sign
from ibc.objectives.objective import Term

QUANTISATION = 0.1  # weight of the second term


class GreedyHashObjective(HashingObjective):
    """``objective: greedyhash``."""

    def __init__(self, config: Config):
        super().__init__(config)
        self.sign_classifier = nn.Linear(config.model.code_len, config.model.class_num)

    def hash_terms(self) -> tuple[Term, ...]:
        """Cross-entropy of the signs, and quantisation."""
        return (
            Term("loss_sign_cls", 1.0, lambda p, labels, done: class_loss(
                self.sign_classifier(straight_through_sign(p.h)), labels[0])),
            Term("loss_quantise", QUANTISATION,
                 lambda p, labels, done: row_mean((p.h.abs() - 1).abs().pow(3).mean(dim=1), labels[0])),
        )
