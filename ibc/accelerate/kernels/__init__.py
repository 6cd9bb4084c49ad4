"""Triton kernels for what torch does slowly on a GPU. Each equals a slower function of torch."""

from __future__ import annotations

from functools import lru_cache

import torch

from ibc.triton_trial import builds_kernels


@lru_cache
def available() -> bool:
    """Whether Triton can build kernels for the GPU here (``ibc.triton_trial``)."""
    return builds_kernels(_trial)


def _trial() -> None:
    from ibc.accelerate.kernels import pooling  # noqa: PLC0415 - Triton is an optional dependency

    maps = torch.arange(9.0, device="cuda").view(1, 1, 3, 3)
    pooled, taken = torch.zeros(1, 1, 1, 1, device="cuda"), torch.zeros(1, 1, 1, 1, dtype=torch.uint8, device="cuda")
    pooling.pool(maps, pooled, taken)
    if (int(pooled), int(taken)) != (8, 8):
        raise ArithmeticError(f"a largest value of {int(pooled)} at {int(taken)} instead of 8 at 8")
