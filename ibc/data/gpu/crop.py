"""Crops of a whole batch of images of one size, in few operations."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ibc.triton_trial import builds_kernels


@lru_cache
def kernel_available() -> bool:
    """Whether the Triton kernel can be used here. The first call tries it on the GPU: not for several threads."""
    return builds_kernels(_trial)


def _trial() -> None:
    from ibc.data.gpu import crop_kernel

    stack = torch.arange(12, dtype=torch.uint8, device="cuda").view(1, 3, 2, 2)
    place = torch.tensor([[1, 0, 1]], dtype=torch.int32, device="cuda")  # the second row, mirrored
    found = crop_kernel.crop_stack(stack, place, (1, 2)).flatten().tolist()
    if found != (expected := [3, 2, 7, 6, 11, 10]):
        raise ArithmeticError(f"a crop of {found} instead of {expected}")


def crop_stack(stack: Tensor, places: np.ndarray, crop: tuple[int, int]) -> Tensor:
    """(n, 3, H, W) uint8 -> (n, 3, h, w), channels last: the crop of each image at its place.

    places: (n, 3) int64 of ``ibc.data.augment.crop_places``: top, left, mirror. The number of operations does not
    depend on n: the threads that make batches share one interpreter, and each operation holds it.
    """
    if stack.is_cuda and kernel_available():
        from ibc.data.gpu import crop_kernel

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
