"""Batches of decoded images: what one loader worker does.

Keys (epoch, index) go in, a ``Batch`` of uint8 pixels and labels comes out, cropped for training
(random, flipped) or for testing (centre). Nothing here depends on which worker does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ibc.data.augment import cut, draws
from ibc.data.decode import decode_image, resize_shorter
from ibc.data.list_file import ImageList
from ibc.errors import InputError

Key = tuple[int, int]  # (epoch, index in the list)


class Batch(NamedTuple):
    """images: (B, 3, h, w) uint8. labels: (B, L) float32. indices: (B,) int64 in the list.

    bad: files left out because they could not be read (with ``skip_bad``). error: why the batch
    could not be made, else "".
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    bad: list[str]
    error: str


@dataclass
class Pixels:
    """How a decoded image becomes the network's input.

    crop: (height, width). size: shorter side, for images that must be resized. always: resize
    every image; otherwise only those smaller than the crop. train: random crop and flip.
    """

    crop: tuple[int, int]
    size: int
    always: bool
    train: bool

    def resizes(self, image: Tensor) -> bool:
        """Whether (3, H, W) has to be brought to ``size`` before it is cut."""
        return self.always or image.shape[-2] < self.crop[0] or image.shape[-1] < self.crop[1]

    def sized(self, image: Tensor) -> Tensor:
        """(3, H, W) uint8, brought to ``size`` where it has to be."""
        return resize_shorter(image, self.size) if self.resizes(image) else image


class ImageDataset(Dataset):
    """Images of a list, decoded and cropped a batch at a time."""

    def __init__(self, images: ImageList, pixels: Pixels, *, seed: int, decoder: str, skip_bad: bool):
        self.images, self.pixels = images, pixels
        self.seed, self.decoder, self.skip_bad = seed, decoder, skip_bad
        self.labels = torch.from_numpy(images.labels)

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, keys: list[Key]) -> Batch:
        """One batch. An unreadable file is an ``error``, or is left out with ``skip_bad``.

        In training the next readable image of the list takes its place, so that halves stay full.
        """
        pictures, kept, bad = [], [], []
        for _, index in keys:
            for candidate in self._candidates(index):
                try:
                    image = decode_image(self.images.files[candidate], self.decoder)
                except InputError as error:
                    if not self.skip_bad:
                        return Batch(torch.empty(0), torch.empty(0), torch.empty(0), [], str(error))
                    bad.append(self.images.files[candidate])
                    continue
                pictures.append(self.pixels.sized(image))
                kept.append(candidate)
                break
            else:
                if self.pixels.train:
                    message = f"{self.images.files[index]}: no image of the list can be read"
                    return Batch(torch.empty(0), torch.empty(0), torch.empty(0), bad, message)
        indices = torch.tensor(kept, dtype=torch.int64)
        table = draws(self.seed, keys[0][0], [index for _, index in keys]) if self.pixels.train else None
        return Batch(cut(pictures, self.pixels.crop, table), self.labels[indices], indices, bad, "")

    def _candidates(self, index: int) -> list[int]:
        count = len(self.images)
        reach = count if self.skip_bad and self.pixels.train else 1
        return [(index + step) % count for step in range(reach)]
