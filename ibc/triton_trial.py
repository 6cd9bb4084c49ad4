"""Does Triton build kernels on this machine? Unlike torch it needs a C compiler and Python's headers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec

import torch


def builds_kernels(trial: Callable[[], None]) -> bool:
    """Whether ``trial`` runs without an error; it should launch a small kernel and check the result.

    False without Triton or a GPU. Warns where Triton is there and the trial fails.
    """
    if find_spec("triton") is None or not torch.cuda.is_available():
        return False
    try:
        trial()
    except Exception as error:  # whatever a compiler, a linker or a driver has to say
        warnings.warn(f"Triton builds no kernels here ({type(error).__name__}: {error}); torch's slower ones serve",
                      stacklevel=2)
        return False
    return True
