"""Triton kernels for what torch does slowly on a GPU. Each module has a slower twin in torch, which it must equal."""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib.util import find_spec

import torch


@torch.compiler.assume_constant_result
def work() -> bool:
    """Whether Triton can build kernels for the GPU: unlike torch it needs a C compiler and Python's headers."""
    return _tried()


@lru_cache
def _tried() -> bool:
    if find_spec("triton") is None or not torch.cuda.is_available():
        return False
    from ibc.kernels import pooling

    maps = torch.zeros(1, 1, 3, 3, device="cuda")
    try:
        pooling.pool(maps, maps[:, :, :1, :1].clone(), torch.zeros(1, 1, 1, 1, dtype=torch.uint8, device="cuda"))
    except Exception as error:  # whatever a compiler, a linker or a driver has to say
        warnings.warn(f"Triton builds no kernels here ({type(error).__name__}: {error}); torch's slower ones serve",
                      stacklevel=2)
        return False
    return True
