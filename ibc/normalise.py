"""Normalisation: uint8 images as the loader gives them to float32 images as the network takes them.

Training, extraction and the dissection call ``normalise``; the data code never does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ibc.accelerate import kernels

MEAN = (0.485, 0.456, 0.406)  # of ImageNet, RGB in [0, 1]
STD = (0.229, 0.224, 0.225)

Constants = tuple[Tensor, Tensor]


def normalise(images: Tensor, constants: Constants | None = None) -> Tensor:
    """(N, 3, H, W) uint8 -> float32: scaled to [0, 1], minus MEAN, divided by STD, channel by channel.

    ``constants``: ``normalisation_constants`` of the device, where the caller has them from an earlier call.
    The memory format of the images stays.
    """
    mean, std = constants or normalisation_constants(images.device)
    if not images.is_contiguous(memory_format=torch.channels_last):
        return _by_formula(images, mean, std)
    if images.is_cuda:
        if torch.compiler.is_compiling() or not kernels.available():
            return _by_formula(images, mean, std)
        from ibc.accelerate.kernels.normalise import look_up  # noqa: PLC0415 - Triton is an optional dependency

        all_values = torch.arange(256, dtype=torch.uint8, device=images.device).repeat(3, 1)[..., None]  # (3, 256, 1)
        return look_up(images, _by_formula(all_values, mean, std).view(3, 256))
    # Whole rows of pixels at a time: a loop over the three channels of one pixel is too short for a CPU's vector units.
    width = images.shape[-1]
    rows = images.permute(0, 2, 3, 1).flatten(2).float()  # (N, H, W * 3)
    rows.div_(255).sub_(mean.flatten().repeat(width)).div_(std.flatten().repeat(width))
    return rows.unflatten(2, (width, 3)).permute(0, 3, 1, 2)


def normalisation_constants(device: torch.device) -> Constants:
    """MEAN and STD as (3, 1, 1) float32 tensors on the device.

    Copying them to a GPU waits until the GPU has finished its work, so callers in a loop keep them.
    """
    return torch.tensor(MEAN, device=device)[:, None, None], torch.tensor(STD, device=device)[:, None, None]


def _by_formula(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return torch.div(images, 255).sub_(mean).div_(std)
