"""One batch on a GPU, from the contents of its files: decoded, resized, cropped and mirrored."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ibc.data.augment import draws
from ibc.data.batch import Batch, ImageError, Key, ReadImages, read_images
from ibc.data.gpu.crop import crop_images
from ibc.data.gpu.decode import decode_files
from ibc.data.gpu.file_batch import PORTION, FileBatch, FileBatchReader
from ibc.data.gpu.image_cache import ImageCache
from ibc.data.gpu.nvjpeg import BatchDecoder
from ibc.data.gpu.resize import resize_images
from ibc.data.list_file import ImageList
from ibc.data.strong_crop import DRAWS, strong_crops
from ibc.data.transform import ImageTransform

Portion = tuple[list[int], Tensor | list[Tensor | ImageError]]  # indices in the list; an image or an error for each


class BatchMaker:
    """Makes batches of the images of a list, on whatever CUDA stream is current. Several threads may use it at once."""

    def __init__(self, images: ImageList, transform: ImageTransform, device: torch.device, *, seed: int, skip_bad: bool,
                 cache: ImageCache):
        self.images, self.transform, self.device = images, transform, device
        self.seed, self.skip_bad, self.cache = seed, skip_bad, cache
        self.labels = torch.from_numpy(images.labels)
        self.reader = FileBatchReader(images.files)  # for files that the reading processes leave

    def make(self, keys: list[Key], files: FileBatch, decoder: BatchDecoder | None = None) -> Batch:
        """One batch; ``files``: those of its images that are not in the cache."""
        asked = [index for _, index in keys]
        portions = list(self._decoded(files, decoder))
        images: Tensor | list[Tensor] | None = self._one_stack(asked, files, portions)
        kept = asked
        skipped: list[ImageError] = []
        if images is None:
            found = self._image_by_image(asked, files, portions, decoder)
            if isinstance(found, ImageError):
                return Batch.failed(found)
            images, kept, skipped = found
        indices = torch.tensor(kept, dtype=torch.int64)
        crop = self.transform.crop
        if not len(images):
            nothing = torch.empty(0, 3, *crop, dtype=torch.uint8, device=self.device)
            return Batch(nothing, self.labels[indices], indices, skipped, None)
        epoch = keys[0][0]
        if self.transform.strong:
            crops = strong_crops(images, crop, draws(self.seed, epoch, asked, DRAWS), self.device)
        else:
            table = draws(self.seed, epoch, asked) if self.transform.train else None
            crops = crop_images(images, crop, table, self.device)
        return Batch(crops, self.labels[indices], indices, skipped, None)

    def _decoded(self, files: FileBatch, decoder: BatchDecoder | None) -> Iterator[Portion]:
        """All files of a batch, decoded and resized, portion by portion, where the cache keeps images."""
        home = self.cache.home
        for places in files.portions():
            images = resize_images(decode_files(files, places, decoder, self.images.files, self.device), self.transform)
            if home != self.device:
                images = [image.to(home) if isinstance(image, Tensor) else image for image in images]
            yield [files.indices[place] for place in places.tolist()], images

    def _one_stack(self, asked: list[int], files: FileBatch, portions: list[Portion]) -> Tensor | None:
        """(n, 3, H, W): the images ``asked`` for, where all were decoded into stacks of one size and none is kept.

        The usual case. It takes no step for each image, for which this thread would hold up the others.
        """
        stacks = [images for _, images in portions if isinstance(images, Tensor)]
        if (self.cache.in_use or files.indices != asked or not stacks or len(stacks) < len(portions)
                or any(stack.shape[1:] != stacks[0].shape[1:] for stack in stacks)):
            return None
        return torch.cat(stacks) if len(stacks) > 1 else stacks[0]

    def _image_by_image(self, asked: list[int], files: FileBatch, portions: list[Portion],
                        decoder: BatchDecoder | None) -> ReadImages | ImageError:
        """The images ``asked`` for, as ``read_images`` gives them."""
        fresh = _by_index(files, portions)
        while files.left:  # large files: never more of them in memory than a portion
            files = self.reader.read(files.left, PORTION)
            fresh |= _by_index(files, list(self._decoded(files, decoder)))

        def read(index: int) -> Tensor | ImageError:
            if index in fresh:
                return fresh[index]
            kept = self.cache.get(index)
            if kept is not None:
                return kept
            another = self.reader.read([index], PORTION)  # in place of one that cannot be read
            return _by_index(another, list(self._decoded(another, decoder)))[index]

        found = read_images(asked, read, self.images.files, skip_bad=self.skip_bad, replace=self.transform.train)
        if not isinstance(found, ImageError):
            self.cache.keep(fresh)
        return found


def _by_index(files: FileBatch, portions: list[Portion]) -> dict[int, Tensor | ImageError]:
    """Index in the list -> its image, or why there is none."""
    found: dict[int, Tensor | ImageError] = dict(files.errors)
    for indices, images in portions:
        found.update(zip(indices, images, strict=True))
    return found
