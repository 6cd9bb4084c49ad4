"""Cross-entropy alone: a classifier on real-valued outputs, whose signs become the code afterwards.

    L = CE(A h + a, y),  A, a a classifier of its own
"""

from __future__ import annotations

from torch import nn

from ibc.config import Config
from ibc.losses import class_loss
from ibc.objectives.hashing import HashingObjective
from ibc.objectives.objective import Term


class CrossEntropyObjective(HashingObjective):
    """``objective: cross_entropy``. Multi-label: binary cross-entropy of every class."""

    MULTI_LABEL = True

    def __init__(self, config: Config):
        super().__init__(config)
        self.output_classifier = nn.Linear(config.model.code_len, config.model.class_num)

    def hash_terms(self) -> tuple[Term, ...]:
        """One."""
        return (Term("loss_output_cls", 1.0,
                     lambda p, labels, done: class_loss(self.output_classifier(p.h), labels[0])),)
