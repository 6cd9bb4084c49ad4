"""The device of a run, and how the process uses its memory."""

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
    """``auto``, ``cpu`` or ``cuda`` as a torch device. Raises InputError without a usable GPU."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise input_error("--device", f"{name}, but no usable GPU", "a CUDA device", "use --device cpu")
    return torch.device(name)


def make_deterministic() -> None:
    """Ask torch for kernels that repeat bit for bit on a GPU too; call before anything ran on one."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True)


def tune_process() -> None:
    """Settings that CUDA and OpenMP read once, when they start: call before torch is imported; commands do.

    ``ibc.data.gpu`` needs the first for its speed, training on a CPU the second; without them all results are the same.
    """
    # nvJPEG decodes on dozens of CUDA streams. On the usual 8 hardware queues some of them share the update's and
    # wait for it, so that decoding and training take turns. 32 is the most there is.
    os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")
    # OpenMP's threads look out for more work for milliseconds, on cores that could decode the next batch meanwhile; so
    # only for a fraction of one.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def keep_freed_memory(device: torch.device) -> None:
    """Let malloc keep large blocks for a network's next batch on a CPU (glibc; elsewhere, and for a GPU, nothing).

    Else the kernel clears the pages of every layer's output anew: a quarter of an update's time on two cores.
    """
    if device.type == "cpu" and platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        for setting in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            mallopt(setting, 2**31 - 1)
