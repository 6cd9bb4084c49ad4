"""The learning-rate schedule: one factor for all groups."""

from __future__ import annotations

import math

from ibc.config import Config


def lr_factor(config: Config, update: int) -> float:
    """Factor of the start rate that update number ``update`` (from 1) uses.

    ``step``: gamma ** (update // step_size). The official scheduler is stepped before the update,
    so update ``step_size`` already has the lower rate; parity needs it.
    ``cosine``: half a cosine from 1 at the first update towards 0 after the last.
    Either way the first ``warm_up`` updates rise linearly to it.
    """
    rise = min(1.0, update / config.warm_up) if config.warm_up else 1.0
    if config.lr_policy == "step":
        return rise * config.gamma ** (update // config.step_size)
    if config.lr_policy == "cosine":
        return rise * 0.5 * (1 + math.cos(math.pi * (update - 1) / config.max_iter))
    return rise


def moves(config: Config) -> bool:
    """Whether the factor changes from update to update, not only now and then."""
    return config.lr_policy == "cosine" or config.warm_up > 0


def share_done(config: Config, update: int) -> float:
    """Share of the run that is made before update number ``update`` (from 1), in [0, 1]; 1 in a run without end."""
    return min(1.0, (update - 1) / config.max_iter) if config.max_iter else 1.0
