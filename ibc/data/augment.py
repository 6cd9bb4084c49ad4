"""Augmentation: random crops and flips of a batch of images, and centre crops for testing.

Augmentation is a function of (seed, epoch, index) alone: it depends neither on the number of
workers nor on where a run was interrupted, and a whole batch is drawn at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def draws(seed: int, epoch: int, indices: Sequence[int] | np.ndarray) -> np.ndarray:
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
    return np.asarray(x ^ (x >> np.uint64(31)))


def crop_places(sizes: np.ndarray, crop: tuple[int, int], table: np.ndarray | None) -> np.ndarray:
    """(n, 2) heights and widths -> (n, 3) int64: top, left, and whether to mirror (0 or 1), of each picture's crop.

    ``table``: (n, 3) draws (flip, down, right); without it the centre, rounded as torchvision does.
    The picture is mirrored after cutting; the place is that of a crop from the mirrored picture.
    """
    room = sizes - np.array(crop)
    if table is None:
        return np.pad(np.rint(room / 2), ((0, 0), (0, 1))).astype(np.int64)
    mirror = table[:, 0] < 0.5
    top, left = (table[:, 1:] * (room + 1)).astype(np.int64).T
    return np.stack([top, np.where(mirror, room[:, 1] - left, left), mirror], axis=1)


def crop_images(pictures: Sequence[Tensor], crop: tuple[int, int], table: np.ndarray | None) -> Tensor:
    """n pictures (3, H, W), each of its own size -> (n, 3, h, w): their ``crop_places``, mirrored as those say.

    Channels last, as decoders leave a picture and as convolutions want a batch: rows are copied whole.
    """
    if not pictures:
        return torch.empty(0, 3, *crop, dtype=torch.uint8)
    sizes = np.array([picture.shape[-2:] for picture in pictures])
    parts = []
    for picture, (top, left, mirror) in zip(pictures, crop_places(sizes, crop, table).tolist(), strict=True):
        part = picture[:, top : top + crop[0], left : left + crop[1]].permute(1, 2, 0)
        parts.append(part.flip(1) if mirror else part)
    return torch.stack(parts).permute(0, 3, 1, 2)
