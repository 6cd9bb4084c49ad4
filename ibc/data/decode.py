"""Image files to uint8 tensors on the CPU: libjpeg-turbo through torchvision for JPEGs, Pillow for the rest.

What an image file stands for is said in ``ibc.data.image_reader``. What is wrong with an image is an ``ImageError``,
whether the CPU or the GPU makes the batches.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ibc.data.image_reader import UnreadableImage, check_pixels, read_pixels, upright
from ibc.data.jpeg import is_whole_jpeg, read_jpeg_header
from ibc.data.limits import most_image_bytes
from ibc.data.zip_folder import read_bytes
from ibc.errors import InputError, input_error


class ImageError(NamedTuple):
    """Why one image cannot be used. A value, and no exception, so that it can be handed on and kept.

    An exception would lose its type on its way from another process, and would keep all that its traceback knows.
    path: of the image's file, as the list gives it. message: one line that begins with the path.
    """

    path: str
    message: str


def read_image_file(path: str | os.PathLike) -> bytes:
    """The content of an image file, or of ``pack.zip:member``.

    Raises InputError where it is missing, cannot be read, is empty or too large, or is no file (a pipe, a device).
    """
    try:
        content = read_bytes(path, regular=True, most=most_image_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if not content:
        raise InputError(f"{path}: an empty file")
    return content


def decode_image(source: str | os.PathLike | bytes, decoder: str = "turbo", name: str | None = None) -> Tensor:
    """An image file (or ``pack.zip:member``), or its content, as (3, H, W) uint8 RGB, upright.

    ``decoder``: ``turbo`` (libjpeg-turbo; Pillow for what is not a plain JPEG) or ``pillow``. ``name``: the path of
    given content, for messages. Raises InputError where the image is missing, truncated, too large or not an image.
    """
    if isinstance(source, bytes):
        name, data = name or "image", source
    else:
        name, data = str(source), read_image_file(source)
    try:
        image = _turbo(data) if decoder == "turbo" and is_whole_jpeg(data) else None
        return image if image is not None else _by_pillow(data, os.path.splitext(name)[1])
    except UnreadableImage as error:
        raise input_error(name, error.found, error.expected, error.do) from None


def try_to_decode(source: str | bytes, name: str, decoder: str = "turbo") -> Tensor | ImageError:
    """``decode_image`` of the image whose path is ``name``, with the error as a value."""
    try:
        return decode_image(source, decoder, name)
    except InputError as error:
        return ImageError(name, str(error))


def _turbo(data: bytes) -> Tensor | None:
    """A JPEG in RGB or grey. None for others (CMYK, broken, odd), which are left to Pillow and its messages.

    Raises UnreadableImage for one that is too large.
    """
    header = read_jpeg_header(data)
    if header is None:
        return None
    check_pixels(*header.size)
    try:
        from torchvision.io import ImageReadMode, decode_jpeg  # noqa: PLC0415 - takes 2 s, and only JPEGs need it
    except ImportError:  # torchvision has announced to drop it; Pillow gives the same pixels
        return None
    buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    try:
        image = decode_jpeg(buffer, mode=ImageReadMode.RGB)
    except RuntimeError:
        return None
    if header.orientation == 1:
        return image
    return torch.from_numpy(upright(image.permute(1, 2, 0).numpy(), header.orientation)).permute(2, 0, 1)


def _by_pillow(data: bytes, extension: str) -> Tensor:
    pixels = np.require(read_pixels(data, extension), requirements="W")  # Pillow's arrays are read-only
    return torch.from_numpy(pixels).permute(2, 0, 1)
