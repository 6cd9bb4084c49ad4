"""A trainer in float64 without dropout, so that two ways to compute a loss can be compared to rounding."""

from __future__ import annotations

import torch

from ibc.config import Config
from ibc.trainer import Trainer


def double_trainer(config: Config, **options) -> Trainer:
    """options: as for ``Trainer``."""
    trainer = Trainer(config, **options)
    trainer.model.double(), trainer.objective.double()
    for module in trainer.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return trainer
