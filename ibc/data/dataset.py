"""Batches of decoded images: what one loader worker does.

Keys (epoch, index) go in, a ``Batch`` of uint8 pixels and labels comes out, cropped for training
(random, flipped) or for testing (centre). Nothing here depends on which worker does it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ibc.data.augment import crop_images, draws
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
class ImageTransform:
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


class Found(NamedTuple):
    """What reading one image of a list gave.

    image: (3, H, W) uint8 of the size that is cropped, None where there is none. place: where it stands in the
    list. bad: files that could not be read. error: why the batch cannot be made, else "".
    """

    image: Tensor | None
    place: int
    bad: list[str]
    error: str


class ImageDataset(Dataset):
    """Images of a list, decoded by ``threads`` threads and cropped a batch at a time."""

    def __init__(self, images: ImageList, pixels: ImageTransform, *, seed: int, decoder: str, skip_bad: bool,
                 threads: int = 1):
        self.images, self.pixels = images, pixels
        self.seed, self.decoder, self.skip_bad = seed, decoder, skip_bad
        self.labels = torch.from_numpy(images.labels)
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None  # decoding leaves the interpreter's lock

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, keys: list[Key]) -> Batch:
        """One batch. An unreadable file is an ``error``, or is left out with ``skip_bad``.

        In training the next readable image of the list takes its place, so that halves stay full.
        """
        asked = [index for _, index in keys]
        if self.pool is None:
            found = self._read(asked)
        else:
            parts = [part.tolist() for part in np.array_split(asked, self.threads)]
            found = list(chain.from_iterable(self.pool.map(self._read, parts)))
        bad = [file for one in found for file in one.bad]
        error = next((one.error for one in found if one.error), "")
        if error:
            return Batch(torch.empty(0), torch.empty(0), torch.empty(0), bad, error)
        pictures = [one.image for one in found if one.image is not None]
        indices = torch.tensor([one.place for one in found if one.image is not None], dtype=torch.int64)
        table = draws(self.seed, keys[0][0], asked) if self.pixels.train else None
        return Batch(crop_images(pictures, self.pixels.crop, table), self.labels[indices], indices, bad, "")

    def _read(self, asked: list[int]) -> list[Found]:
        """The images ``asked`` for, up to an error."""
        found: list[Found] = []
        for index in asked:
            found.append(self._find(index))
            if found[-1].error:
                break
        return found

    def _find(self, index: int) -> Found:
        bad: list[str] = []
        for candidate in self._candidates(index):
            file = self.images.files[candidate]
            try:
                return Found(self.pixels.sized(decode_image(file, self.decoder)), candidate, bad, "")
            except InputError as error:
                if not self.skip_bad:
                    return Found(None, index, [], str(error))
                bad.append(file)
        none = f"{self.images.files[index]}: no image of the list can be read" if self.pixels.train else ""
        return Found(None, index, bad, none)

    def _candidates(self, index: int) -> list[int]:
        count = len(self.images)
        reach = count if self.skip_bad and self.pixels.train else 1
        return [(index + step) % count for step in range(reach)]
