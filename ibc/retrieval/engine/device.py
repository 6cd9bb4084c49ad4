"""Where rankings run: on the CPU, or on a GPU where there is one and enough to do for it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TypeAlias

from ibc.device import resolve_device

if TYPE_CHECKING:
    import torch

Device: TypeAlias = "str | torch.device"
GPU_PAYS_FROM = 2e9  # query-item pairs: with fewer, the CPU is done before a GPU has started
GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # files of the drivers: NVIDIA, AMD, Windows' Linux


def choose_device(device: Device, pairs: float) -> Device:
    """``"cpu"``, or a torch device, for a ranking of so many query-item pairs.

    device: "cpu", "cuda" or "auto"; or a torch device, which is returned as it is. "auto" takes a GPU, where there is
    one, from GPU_PAYS_FROM pairs on. Raises InputError for "cuda" without a usable GPU. torch is imported only where a
    GPU may be used.
    """
    if not isinstance(device, str):
        return device
    if device == "cpu" or (device == "auto" and (pairs < GPU_PAYS_FROM or not _gpu_possible())):
        return "cpu"
    return resolve_device(device)


def _gpu_possible() -> bool:
    """False where no GPU driver shows its device file. Asking torch takes seconds and 300 MB of memory."""
    return sys.platform != "linux" or any(map(os.path.exists, GPU_DEVICES))
