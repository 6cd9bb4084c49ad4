"""Triton kernels for what torch does slowly on a GPU. Each equals a slower function of torch."""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib.util import find_spec

import torch


@lru_cache
def available() -> bool:
    """Whether Triton can build kernels for the GPU: unlike torch, it needs a C compiler and Python's headers."""
    if find_spec("triton") is None or not torch.cuda.is_available():
        return False
    from ibc.accelerate.kernels import pooling  # noqa: PLC0415 - Triton is not everywhere

    maps = torch.arange(9.0, device="cuda").view(1, 1, 3, 3)
    pooled, taken = torch.zeros(1, 1, 1, 1, device="cuda"), torch.zeros(1, 1, 1, 1, dtype=torch.uint8, device="cuda")
    try:
        pooling.pool(maps, pooled, taken)
        if (int(pooled), int(taken)) != (8, 8):
            raise ArithmeticError(f"a largest value of {int(pooled)} at {int(taken)} instead of 8 at 8")
    except Exception as error:  # whatever a compiler, a linker or a driver has to say
        warnings.warn(f"Triton builds no kernels here ({type(error).__name__}: {error}); torch's slower ones serve",
                      stacklevel=2)
        return False
    return True
