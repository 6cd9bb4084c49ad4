"""Batches made on the CPU: what one loader worker does.

Keys (epoch, index) go in, a ``Batch`` comes out. Nothing here depends on which worker does it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ibc.data.augment import crop_images, crop_places, draws
from ibc.data.batch import Batch, ImageError, Key, ReadImages, read_images
from ibc.data.decode import try_to_decode
from ibc.data.list_file import ImageList
from ibc.data.strong_crop import DRAWS, strong_crops
from ibc.data.transform import ImageTransform

_LARGE = 8  # times the pixels of a crop: a larger image is cut to its crop as soon as it is decoded


class _Crop(Tensor):
    """A strong crop of a large image, made as the image was read."""


class ImageDataset(Dataset):
    """Images of a list, decoded by ``threads`` threads and cropped a batch at a time.

    ``decoder``: as for ``decode_image``. ``skip_bad``: as for ``read_images``.
    """

    def __init__(self, images: ImageList, transform: ImageTransform, *, seed: int, decoder: str, skip_bad: bool,
                 threads: int = 1):
        self.images, self.transform = images, transform
        self.seed, self.decoder, self.skip_bad = seed, decoder, skip_bad
        self.labels = torch.from_numpy(images.labels)
        self.threads = threads
        # Threads help, since decoders release the interpreter's lock.
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __len__(self) -> int:
        """Number of images in the list."""
        return len(self.images)

    def __getitems__(self, keys: list[Key]) -> Batch:
        """One batch."""
        asked = [index for _, index in keys]
        found = self._read(asked, keys[0][0])
        if isinstance(found, ImageError):
            return Batch.failed(found)
        images, indices, skipped = found
        places = torch.tensor(indices, dtype=torch.int64)
        return Batch(self._cropped(images, keys[0][0], asked), self.labels[places], places, skipped, None)

    def _cropped(self, images: list[Tensor], epoch: int, asked: list[int]) -> Tensor:
        transform = self.transform
        if transform.strong:
            whole = [place for place, image in enumerate(images) if not isinstance(image, _Crop)]
            if len(whole) == len(images):
                return self._strong(images, epoch, asked)
            crops = torch.stack([torch.empty(3, *transform.crop, dtype=torch.uint8) if place in whole else
                                 image.as_subclass(Tensor) for place, image in enumerate(images)])
            if whole:
                parts = [images[place] for place in whole]
                crops[whole] = self._strong(parts, epoch, [asked[place] for place in whole])
            return crops.contiguous(memory_format=torch.channels_last)
        return crop_images(images, transform.crop, draws(self.seed, epoch, asked) if transform.train else None)

    def _strong(self, images: list[Tensor], epoch: int, asked: list[int]) -> Tensor:
        return strong_crops(images, self.transform.crop, draws(self.seed, epoch, asked, DRAWS), torch.device("cpu"))

    def _read(self, asked: list[int], epoch: int) -> ReadImages | ImageError:
        """The images ``asked`` for, by all threads."""
        if self.pool is None:
            return self._read_part(asked, epoch)
        whole = ReadImages([], [], [])
        parts = [part.tolist() for part in np.array_split(asked, self.threads)]
        for part in self.pool.map(self._read_part, parts, [epoch] * len(parts)):
            if isinstance(part, ImageError):
                return part
            whole.images.extend(part.images)
            whole.indices.extend(part.indices)
            whole.skipped.extend(part.skipped)
        return whole

    def _read_part(self, asked: list[int], epoch: int) -> ReadImages | ImageError:
        def cut(image: Tensor, index: int) -> Tensor:
            """Of a large image what the crop will show: a batch of large images must not fill the memory."""
            height, width = crop = self.transform.crop
            if image.shape[-2] * image.shape[-1] <= _LARGE * height * width:
                return image
            if self.transform.strong:
                return self._strong([image], epoch, [index])[0].as_subclass(_Crop)
            table = draws(self.seed, epoch, [index]) if self.transform.train else None
            ((top, left, _),) = crop_places(np.array([image.shape[-2:]]), crop, table).tolist()
            return image[:, top : top + height, left : left + width].clone()

        return read_images(asked, self._image, self.images.files, skip_bad=self.skip_bad, replace=self.transform.train,
                           cut=cut)

    def _image(self, index: int) -> Tensor | ImageError:
        """The image at a place of the list, resized where it has to be."""
        file = self.images.files[index]
        image = try_to_decode(file, file, self.decoder)
        return self.transform.resized(image) if isinstance(image, Tensor) else image
