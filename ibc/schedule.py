"""The learning-rate schedule: one factor for all groups."""

from __future__ import annotations

from ibc.config import Config


def lr_factor(config: Config, update: int) -> float:
    """Factor of the start rate that update number ``update`` (from 1) uses.

    ``step``: gamma ** (update // step_size). The official scheduler is stepped before the update,
    so update ``step_size`` already has the lower rate; parity needs it.
    """
    if config.lr_policy == "step":
        return config.gamma ** (update // config.step_size)
    return 1.0
