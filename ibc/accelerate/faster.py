"""The fastest update that the device and the number of processes allow."""

from __future__ import annotations

import torch

from ibc.accelerate import kernels
from ibc.accelerate.cuda_graph import RecordedUpdate
from ibc.accelerate.sharded_update import ShardedUpdate
from ibc.accelerate.update import FastUpdate
from ibc.processes import world_size
from ibc.update import Update


def faster(plain: Update, *, bf16: bool = False, compiled: bool = False) -> Update:
    """An update with the same call as ``plain``, of the same model by the same optimiser.

    bf16: layers in mixed precision. compiled: by torch.compile; on a GPU also recorded as a CUDA graph. In one of
    several processes, weights and seeds of all become those of the first process's model.
    """
    device = plain.model.GRM.device
    plain.model.to(memory_format=torch.channels_last)  # the faster order for convolutions everywhere
    if device.type == "cuda":
        kernels.available()  # tried now, not while torch's compiler looks on
        torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()
    update = (ShardedUpdate if world_size() > 1 else FastUpdate)(plain, bf16=bf16, compiled=compiled)
    return RecordedUpdate(update) if compiled and device.type == "cuda" else update
