"""How a decoded image becomes the network's input: resized where it has to be, then cropped and perhaps mirrored.

Here is the resizing on a CPU (on a GPU: ``ibc.data.gpu.resize``); ``ibc.data.augment`` chooses the crops.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

# How many times as long as wide an image may be when it is resized. Of a longer one only the middle is used, so that a
# line of pixels does not take gigabytes.
MOST_ASPECT = 256


@dataclass(frozen=True)
class ImageTransform:
    """crop: (height, width) in pixels. size: shorter side in pixels of an image that is resized.

    always: resize every image; else only an image smaller than the crop. train: crop at random and flip; else crop
    the centre. strong: in training, crop as ``ibc.data.strong_crop`` does.
    """

    crop: tuple[int, int]
    size: int
    always: bool
    train: bool
    strong: bool = False

    def resizes(self, image: Tensor) -> bool:
        """Whether a (3, H, W) image has to be resized before it is cropped."""
        return self.always or image.shape[-2] < self.crop[0] or image.shape[-1] < self.crop[1]

    def resized(self, image: Tensor) -> Tensor:
        """(3, H, W) uint8, ready to be cropped."""
        return resize_shorter(image, self.size) if self.resizes(image) else image


def resize_shorter(image: Tensor, size: int) -> Tensor:
    """Bring the shorter side of (3, H, W) uint8 to ``size`` pixels: bilinear, antialiased as Pillow does.

    Of an image of more than ``MOST_ASPECT`` the middle is resized.
    """
    image = middle_of(image)
    height, width = image.shape[-2:]
    if min(height, width) == size:
        return image
    return F.interpolate(image[None], resized_shape(height, width, size), mode="bilinear", antialias=True)[0]


def middle_of(images: Tensor) -> Tensor:
    """(..., H, W) -> its middle, at most ``MOST_ASPECT`` times as long as wide. Others stay as they are.

    What is cut off at either end is a multiple of the shorter side. Then the middle, resized, is the middle of the
    resized whole, pixel by pixel, and a centre crop of it shows the same.
    """
    height, width = images.shape[-2:]
    shorter, longer = min(height, width), max(height, width)
    excess = longer - MOST_ASPECT * shorter
    if excess <= 0:
        return images
    cut = -(-excess // (2 * shorter)) * shorter
    return images[..., cut : height - cut, :] if height > width else images[..., cut : width - cut]


def resized_shape(height: int, width: int, size: int) -> tuple[int, int]:
    """(height, width) at the same aspect ratio, with ``size`` as the shorter side."""
    shorter = min(height, width)
    return round(height * size / shorter), round(width * size / shorter)
