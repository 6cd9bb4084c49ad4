"""Resizing of decoded images on a GPU, images of one shape together; the twin on a CPU is ``ibc.data.transform``."""

from __future__ import annotations

from collections import defaultdict

import torch
import torch.nn.functional as F
from torch import Tensor

from ibc.data.decode import ImageError
from ibc.data.transform import ImageTransform, middle_of, resized_shape

RESIZED_TOGETHER = 16 << 20  # bytes of pixels at once, so that photographs fit the memory too


def resize_images(images: Tensor | list[Tensor | ImageError],
                  transform: ImageTransform) -> Tensor | list[Tensor | ImageError]:
    """Resize the images that ``transform`` resizes: (n, 3, H, W) uint8, or (3, H, W) each. Errors stay in their place.

    Images of equal shapes are resized in few operations.
    """
    if isinstance(images, Tensor):
        return resize_stack(images, transform.size) if transform.resizes(images[0]) else images
    places_of_shape: dict[torch.Size, list[int]] = defaultdict(list)
    for place, image in enumerate(images):
        if isinstance(image, Tensor) and transform.resizes(image):
            places_of_shape[image.shape].append(place)
    resized = list(images)
    for places in places_of_shape.values():
        alike = [image for image in (images[place] for place in places) if isinstance(image, Tensor)]
        for place, image in zip(places, resize_stack(alike, transform.size), strict=True):
            resized[place] = image
    return resized


def resize_stack(images: Tensor | list[Tensor], size: int) -> Tensor:
    """n images of one shape (3, H, W) uint8 -> (n, 3, h, w), shorter side ``size`` pixels: bilinear, antialiased."""
    images = middle_of(images) if isinstance(images, Tensor) else [middle_of(image) for image in images]
    height, width = images[0].shape[-2:]
    target = resized_shape(height, width, size)
    together = max(1, RESIZED_TOGETHER // max(images[0].numel(), 3 * target[0] * target[1]))
    parts = []
    for first in range(0, len(images), together):
        some = images[first : first + together]
        pixels = (some if isinstance(some, Tensor) else torch.stack(some)).float()
        resized = F.interpolate(pixels, target, mode="bilinear", antialias=True)
        parts.append(resized.round_().clamp_(0, 255).byte())
    return torch.cat(parts)
