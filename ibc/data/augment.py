"""Pixels on their way into the network: random crops and flips, and normalisation.

Augmentation is a function of (seed, epoch, index) alone: it depends neither on the number of
workers nor on where a run was interrupted, and a whole batch is drawn at once.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)  # of ImageNet, RGB in [0, 1]
STD = (0.229, 0.224, 0.225)


def normalise(images: Tensor) -> Tensor:
    """(N, 3, H, W) uint8 -> float32, scaled to [0, 1], minus MEAN, over STD, channel by channel."""
    mean = torch.tensor(MEAN, device=images.device)[:, None, None]
    std = torch.tensor(STD, device=images.device)[:, None, None]
    return images.float().div_(255).sub_(mean).div_(std)


def draws(seed: int, epoch: int, indices: np.ndarray) -> np.ndarray:
    """(n, 3) uniform numbers in [0, 1) for images ``indices``: flip, vertical and horizontal place.

    SplitMix64 (Steele, Lea, Flood 2014) of the counter, which needs no state to be carried along.
    """
    with np.errstate(over="ignore"):
        stream = _mix(_mix(np.uint64(seed)) + np.uint64(epoch))
        counter = np.asarray(indices, np.uint64)[:, None] * np.uint64(3) + np.arange(3, dtype=np.uint64)
        return (_mix(_mix(counter) ^ stream) >> np.uint64(11)).astype(np.float64) / 2.0**53


def _mix(x: np.ndarray | np.uint64) -> np.ndarray:
    x = np.asarray(x, np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def random_crop(image: Tensor, height: int, width: int, draw: np.ndarray) -> Tensor:
    """Flip (3, H, W) with probability one half, then cut (3, height, width) at a random place."""
    flip, down, right = draw
    top = int(down * (image.shape[-2] - height + 1))
    left = int(right * (image.shape[-1] - width + 1))
    if flip < 0.5:  # cutting from the mirrored image is cutting at the mirrored place, then mirroring
        left = image.shape[-1] - width - left
        return image[..., top : top + height, left : left + width].flip(-1)
    return image[..., top : top + height, left : left + width]


def centre_crop(image: Tensor, height: int, width: int) -> Tensor:
    """Cut (3, height, width) from the middle of (3, H, W), at torchvision's rounding."""
    top = round((image.shape[-2] - height) / 2)
    left = round((image.shape[-1] - width) / 2)
    return image[..., top : top + height, left : left + width]
