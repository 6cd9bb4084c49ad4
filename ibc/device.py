"""The device of a run, and settings of the process that belong to it.

Nothing here happens at import: commands call these functions before the work starts.
"""

from __future__ import annotations

import ctypes
import os
import platform
from typing import TYPE_CHECKING

from ibc.errors import input_error

if TYPE_CHECKING:
    import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


def resolve_device(name: str) -> torch.device:
    """The torch device of a name: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises InputError where a GPU is asked for and none can be used.
    """
    import torch  # noqa: PLC0415 - takes 2 s to load, which --help does not need

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise input_error("--device", f"{name}, but no usable GPU", "a CUDA device", "use --device cpu")
    return torch.device(name)


def make_deterministic() -> None:
    """Ask torch for kernels that repeat bit for bit on a GPU too; call before anything ran on one."""
    import torch  # noqa: PLC0415 - takes 2 s to load, which --help does not need

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True)


def tune_process() -> None:
    """Set what CUDA and OpenMP read once, when they start: call it before torch is imported, as all commands do.

    The results are the same without it. Decoding on a GPU (``ibc.data.gpu``) and training on a CPU are slower.
    """
    # nvJPEG decodes on dozens of CUDA streams. By default CUDA has 8 hardware queues for all streams, so some decoders
    # share the queue of the update and wait for it: decoding and training take turns. 32 is the largest number.
    os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")
    # After each operation OpenMP's threads wait for the next one in a busy loop, by default for milliseconds. That
    # takes the cores from the workers that decode the next batch, so the loop is made shorter.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def keep_freed_memory(device: torch.device) -> None:
    """On a CPU, let malloc keep freed memory for the next batch; for a GPU, or without glibc, do nothing.

    By default malloc gives large blocks back to the operating system, which clears their pages anew for the output of
    every layer: a quarter of an update's time on two cores.
    """
    if device.type == "cpu" and platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        for setting in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            mallopt(setting, 2**31 - 1)
