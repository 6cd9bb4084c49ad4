"""Augmentation: random crops and flips of a batch of images, and centre crops for testing.

Augmentation is a function of (seed, epoch, index) alone: it depends neither on the number of workers nor on where a
run was interrupted. A whole batch is drawn at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def draws(seed: int, epoch: int, indices: Sequence[int] | np.ndarray, count: int = 3) -> np.ndarray:
    """(n, count) uniform numbers in [0, 1) for the images ``indices``; three: the flip, the top and the left of a crop.

    SplitMix64 (Steele, Lea, Flood 2014) of a counter, which carries no state from one draw to the next.
    """
    with np.errstate(over="ignore"):
        stream = _mix(_mix(np.uint64(seed)) + np.uint64(epoch))
        counter = np.asarray(indices, np.uint64)[:, None] * np.uint64(count) + np.arange(count, dtype=np.uint64)
        return (_mix(_mix(counter) ^ stream) >> np.uint64(11)).astype(np.float64) / 2.0**53


def _mix(x: np.ndarray | np.uint64) -> np.ndarray:
    x = np.asarray(x, np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def crop_places(sizes: np.ndarray, crop: tuple[int, int], table: np.ndarray | None) -> np.ndarray:
    """Where to crop each image, and whether to mirror it.

    sizes: (n, 2) heights and widths. crop: (height, width). table: (n, 3) of ``draws``; None: the centre, rounded as
    torchvision does. Returns (n, 3) int64: top, left, and 1 where the image is mirrored after it is cropped, else 0.
    The place is the one at which a crop of the mirrored image would show the same.
    """
    room = sizes - np.array(crop)
    if table is None:
        return np.pad(np.rint(room / 2), ((0, 0), (0, 1))).astype(np.int64)
    mirror = table[:, 0] < 0.5
    top, left = (table[:, 1:] * (room + 1)).astype(np.int64).T
    return np.stack([top, np.where(mirror, room[:, 1] - left, left), mirror], axis=1)


def crop_images(images: Sequence[Tensor], crop: tuple[int, int], table: np.ndarray | None) -> Tensor:
    """Crop n images on a CPU, and mirror them, as ``crop_places`` says (on a GPU: ``ibc.data.gpu.crop``).

    images: (3, H, W) uint8 each, of any sizes that hold the crop. Returns (n, 3, h, w) uint8 in channels-last format:
    decoders leave images in it and convolutions want it, and so whole rows of pixels are copied.
    """
    if not images:
        return torch.empty(0, 3, *crop, dtype=torch.uint8)
    sizes = np.array([image.shape[-2:] for image in images])
    crops = []
    for image, (top, left, mirror) in zip(images, crop_places(sizes, crop, table).tolist(), strict=True):
        window = image[:, top : top + crop[0], left : left + crop[1]].permute(1, 2, 0)
        crops.append(window.flip(1) if mirror else window)
    return torch.stack(crops).permute(0, 3, 1, 2)
