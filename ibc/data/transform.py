"""How a decoded image becomes the network's input: resized where it has to be, then cropped and perhaps mirrored.

Here is the resizing on a CPU (on a GPU: ``ibc.data.gpu.resize``); ``ibc.data.augment`` chooses the crops.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class ImageTransform:
    """crop: (height, width) in pixels. size: shorter side in pixels of an image that is resized.

    always: resize every image; else only an image smaller than the crop. train: crop at random and flip; else crop
    the centre.
    """

    crop: tuple[int, int]
    size: int
    always: bool
    train: bool

    def resizes(self, image: Tensor) -> bool:
        """Whether a (3, H, W) image has to be resized before it is cropped."""
        return self.always or image.shape[-2] < self.crop[0] or image.shape[-1] < self.crop[1]

    def resized(self, image: Tensor) -> Tensor:
        """(3, H, W) uint8, ready to be cropped."""
        return resize_shorter(image, self.size) if self.resizes(image) else image


def resize_shorter(image: Tensor, size: int) -> Tensor:
    """Bring the shorter side of (3, H, W) uint8 to ``size`` pixels: bilinear, antialiased as Pillow does."""
    height, width = image.shape[-2:]
    if min(height, width) == size:
        return image
    return F.interpolate(image[None], resized_shape(height, width, size), mode="bilinear", antialias=True)[0]


def resized_shape(height: int, width: int, size: int) -> tuple[int, int]:
    """(height, width) at the same aspect ratio, with ``size`` as the shorter side."""
    shorter = min(height, width)
    return round(height * size / shorter), round(width * size / shorter)
