"""Strong augmentation (``crop: strong``): a random part of the image, resized, mirrored, its colours changed.

The part has 40 to 100 % of the image's area and a side ratio of 3:4 to 4:3 (the random resized crop of Inception's
training, with a larger least area). Brightness, contrast and saturation are each multiplied by 0.7 to 1.3. The same
steps on a CPU and on a GPU, to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

DRAWS = 8  # random numbers of an image: flip, area, ratio, top, left, brightness, contrast, saturation
SMALLEST_AREA = 0.4
LARGEST_RATIO = 4 / 3
COLOUR = 0.3  # brightness, contrast and saturation lie between 1 - COLOUR and 1 + COLOUR


def strong_windows(sizes: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The part of each image that is used. sizes: (n, 2) heights and widths in pixels. table: (n, DRAWS) in [0, 1).

    Returns (n, 5): top, left, height and width, in pixels and fractions of them, and 1 where it is mirrored, else 0.
    """
    flip, area, ratio, top, left = table[:, :5].T
    pixels = sizes.prod(axis=1) * (SMALLEST_AREA + (1 - SMALLEST_AREA) * area)
    ratio = np.exp((2 * ratio - 1) * math.log(LARGEST_RATIO))  # width over height
    height, width = np.minimum(np.stack([np.sqrt(pixels / ratio), np.sqrt(pixels * ratio)]), sizes.T)
    return np.stack([top * (sizes[:, 0] - height), left * (sizes[:, 1] - width), height, width, flip < 0.5], axis=1)


def strong_crops(images: Tensor | Sequence[Tensor], crop: tuple[int, int], table: np.ndarray,
                 device: torch.device) -> Tensor:
    """(n, 3, h, w) uint8 on ``device``, channels last. images: (n, 3, H, W) uint8, or (3, H, W) each of any sizes.

    crop: (height, width) in pixels. table: (n, DRAWS) in [0, 1).
    """
    sizes = np.array([image.shape[-2:] for image in images])
    windows = strong_windows(sizes, table)
    colours = 1 + COLOUR * (2 * table[:, 5:] - 1)
    if (sizes == sizes[0]).all():
        stack = images if isinstance(images, Tensor) else torch.stack(list(images))
        return strong_stack(stack.to(device, non_blocking=True), windows, colours, crop)
    each = [strong_stack(image[None].to(device, non_blocking=True), windows[row:row + 1], colours[row:row + 1], crop)
            for row, image in enumerate(images)]
    return torch.cat(each).contiguous(memory_format=torch.channels_last)


def strong_stack(stack: Tensor, windows: np.ndarray, colours: np.ndarray, crop: tuple[int, int]) -> Tensor:
    """(n, 3, H, W) uint8 -> (n, 3, h, w) uint8 on the same device: each window, resized, with its colours changed.

    colours: (n, 3) factors of brightness, contrast and saturation.
    """
    sampled = _resample(stack.float(), torch.from_numpy(windows.astype(np.float32)).to(stack.device), crop)
    factors = torch.from_numpy(colours.astype(np.float32)).to(stack.device)[:, :, None, None, None]
    sampled = sampled * factors[:, 0]
    mean = sampled.mean(dim=(1, 2, 3), keepdim=True)
    sampled = torch.lerp(mean, sampled, factors[:, 1])
    sampled = torch.lerp(sampled.mean(dim=1, keepdim=True), sampled, factors[:, 2])
    return sampled.round_().clamp_(0, 255).to(torch.uint8).contiguous(memory_format=torch.channels_last)


def _resample(stack: Tensor, windows: Tensor, crop: tuple[int, int]) -> Tensor:
    """(n, 3, H, W) -> (n, 3, h, w): each window, bilinear."""
    size = torch.tensor(stack.shape[-2:], device=stack.device)
    steps = [(torch.arange(side, device=stack.device) + 0.5) / side for side in crop]
    rows, columns = (windows[:, axis, None] + windows[:, 2 + axis, None] * steps[axis] for axis in (0, 1))
    columns = torch.where(windows[:, 4:] > 0, columns.flip(1), columns)
    # grid_sample's coordinates: -1 and 1 are the outer edges of the first and of the last pixel.
    rows, columns = 2 * rows / size[0] - 1, 2 * columns / size[1] - 1
    height, width = crop
    grid = torch.stack([columns[:, None, :].expand(-1, height, -1), rows[:, :, None].expand(-1, -1, width)], dim=-1)
    return F.grid_sample(stack, grid, mode="bilinear", padding_mode="border", align_corners=False)
