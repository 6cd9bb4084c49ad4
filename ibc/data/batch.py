"""What every loader gives, a ``Batch``, and which images are in it when some cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ibc.data.decode import ImageError
from ibc.errors import InputError

Key = tuple[int, int]  # (epoch, index in the list)


class Batch(NamedTuple):
    """images: (B, 3, h, w) uint8. labels: (B, L) float32. indices: (B,) int64, places in the list.

    skipped: images that could not be read, left out or replaced (with ``skip_bad``). error: why the batch could not
    be made, else None; then there are no images.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    skipped: list[ImageError]
    error: ImageError | None

    @classmethod
    def failed(cls, error: ImageError) -> Batch:
        """A batch that could not be made."""
        return cls(torch.empty(0), torch.empty(0), torch.empty(0), [], error)

    def checked(self) -> Batch:
        """This batch. Raises InputError, if it has an error."""
        if self.error is not None:
            raise InputError(self.error.message)
        return self


class ReadImages(NamedTuple):
    """images: (3, H, W) uint8 each. indices: their places in the list. skipped: images that could not be read."""

    images: list[Tensor]
    indices: list[int]
    skipped: list[ImageError]


def read_images(asked: Sequence[int], read: Callable[[int], Tensor | ImageError], files: Sequence[str], *,
                skip_bad: bool, replace: bool,
                cut: Callable[[Tensor, int], Tensor] | None = None) -> ReadImages | ImageError:
    """The images ``asked`` for, in that order; ``read`` gives the image at a place of the list, or why it cannot.

    This is the one place that decides about images that cannot be read. Without ``skip_bad`` the first of them is the
    end: its error is returned. With it they are left out, or, with ``replace``, the next readable image of the list
    takes their place: in training both halves of a batch stay full. An error again, where no image is left. cut: takes
    each image as it is read and the index asked for, and returns the part of it that is needed.
    """
    result = ReadImages([], [], [])
    candidates = len(files) if skip_bad and replace else 1
    for index in asked:
        for step in range(candidates):
            candidate = (index + step) % len(files)
            found = read(candidate)
            if isinstance(found, Tensor):
                result.images.append(found if cut is None else cut(found, index))
                result.indices.append(candidate)
                break
            if not skip_bad:
                return found
            result.skipped.append(found)
        else:
            if replace:
                return ImageError(files[index], f"{files[index]}: no image of the list can be read")
    return result
