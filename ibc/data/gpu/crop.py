"""Cropping and mirroring a batch of images on a GPU; the twin on a CPU is ``ibc.data.augment.crop_images``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ibc.data.augment import crop_places
from ibc.triton_trial import builds_kernels


def crop_images(images: Tensor | Sequence[Tensor], crop: tuple[int, int], table: np.ndarray | None,
                device: torch.device) -> Tensor:
    """Crop n images, at least one, and mirror them, as ``crop_places`` says.

    images: (n, 3, H, W) uint8, or (3, H, W) each, all of them on ``device`` or all in main memory. Returns
    (n, 3, h, w) uint8 on ``device``.
    """
    if isinstance(images, Tensor):
        sizes = np.tile(images.shape[-2:], (len(images), 1))
    else:
        sizes = np.array([image.shape[-2:] for image in images])
    places = crop_places(sizes, crop, table)
    if images[0].device.type == device.type and (sizes == sizes[0]).all():
        return crop_stack(images if isinstance(images, Tensor) else torch.stack(list(images)), places, crop)
    crops = _crop_one_by_one(images, places, crop, device)
    if table is None:
        return crops
    mirror = torch.from_numpy(places[:, 2] > 0).to(device, non_blocking=True)
    return torch.where(mirror[:, None, None, None], crops.flip(-1), crops)


def _crop_one_by_one(images: Tensor | Sequence[Tensor], places: np.ndarray, crop: tuple[int, int],
                     device: torch.device) -> Tensor:
    """(n, 3, h, w) on ``device``, not yet mirrored. Images in main memory are cropped there."""
    home = images[0].device
    pinned = device.type == "cuda" and home.type == "cpu"  # from pinned memory the copy to the GPU does not wait
    crops = torch.empty(len(images), 3, *crop, dtype=torch.uint8, device=home, pin_memory=pinned)
    torch.stack([image[:, top : top + crop[0], left : left + crop[1]]
                 for image, (top, left, _) in zip(images, places.tolist(), strict=True)], out=crops)
    return crops.to(device, non_blocking=True)


def crop_stack(stack: Tensor, places: np.ndarray, crop: tuple[int, int]) -> Tensor:
    """(n, 3, H, W) uint8 -> (n, 3, h, w), channels last: the crop of each image at its place.

    places: (n, 3) of ``crop_places``. The number of operations does not depend on n: the threads that make batches
    share one interpreter, and each operation holds it.
    """
    if stack.is_cuda and kernel_available():
        from ibc.data.gpu import crop_kernel  # noqa: PLC0415 - Triton is an optional dependency

        on_device = torch.from_numpy(places.astype(np.int32)).to(stack.device, non_blocking=True)
        return crop_kernel.crop_stack(stack, on_device, crop)
    height, width = crop
    top, left, mirror = places.T
    if not mirror.any() and (places == places[0]).all():  # as in testing: the same window of every image
        window = stack[:, :, top[0] : top[0] + height, left[0] : left[0] + width]
        return window.contiguous(memory_format=torch.channels_last)
    # First row, first column, and the step from a column to the next: -1 where the crop is mirrored.
    starts = np.stack([top, left + mirror * (width - 1), 1 - 2 * mirror])
    row, column, step = torch.from_numpy(starts[:, :, None]).to(stack.device, non_blocking=True)
    rows = row + torch.arange(height, device=stack.device)  # (n, h)
    columns = torch.addcmul(column, step, torch.arange(width, device=stack.device))  # (n, w)
    numbers = torch.arange(len(stack), device=stack.device)
    return stack[numbers[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


@lru_cache
def kernel_available() -> bool:
    """Whether the Triton kernel of ``crop_stack`` can be used here. The first call tries it: call it in one thread."""
    return builds_kernels(_trial)


def _trial() -> None:
    from ibc.data.gpu import crop_kernel  # noqa: PLC0415 - Triton is an optional dependency

    stack = torch.arange(12, dtype=torch.uint8, device="cuda").view(1, 3, 2, 2)
    place = torch.tensor([[1, 0, 1]], dtype=torch.int32, device="cuda")  # the second row, mirrored
    found = crop_kernel.crop_stack(stack, place, (1, 2)).flatten().tolist()
    if found != (expected := [3, 2, 7, 6, 11, 10]):
        raise ArithmeticError(f"a crop of {found} instead of {expected}")
