"""Image files to uint8 tensors on the CPU: libjpeg-turbo through torchvision for JPEGs, Pillow for the rest.

What is wrong with an image is an ``ImageError``, whether the CPU or the GPU makes the batches.
"""

from __future__ import annotations

import io
import os
import warnings
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ibc.data.jpeg import is_whole_jpeg
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

    Raises InputError where it is missing, cannot be read or is empty.
    """
    try:
        content = read_bytes(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if not content:
        raise InputError(f"{path}: an empty file")
    return content


def decode_image(source: str | os.PathLike | bytes, decoder: str = "turbo", name: str | None = None) -> Tensor:
    """An image file (or ``pack.zip:member``), or its content, as (3, H, W) uint8 RGB.

    ``decoder``: ``turbo`` (libjpeg-turbo; Pillow for what is not a plain JPEG) or ``pillow``. ``name``: the path of
    given content, for messages. Raises InputError where the image is missing, truncated or not an image.
    """
    if isinstance(source, bytes):
        name, data = name or "image", source
    else:
        name, data = str(source), read_image_file(source)
    if decoder == "turbo" and is_whole_jpeg(data):
        image = _turbo(data)
        if image is not None:
            return image
    return _pillow(data, name)


def try_to_decode(source: str | bytes, name: str, decoder: str = "turbo") -> Tensor | ImageError:
    """``decode_image`` of the image whose path is ``name``, with the error as a value."""
    try:
        return decode_image(source, decoder, name)
    except InputError as error:
        return ImageError(name, str(error))


def _turbo(data: bytes) -> Tensor | None:
    """A JPEG in RGB or grey. None for others (CMYK, broken), which are left to Pillow and its messages."""
    try:
        from torchvision.io import ImageReadMode, decode_jpeg  # noqa: PLC0415 - takes 2 s, and only JPEGs need it
    except ImportError:  # torchvision has announced to drop it; Pillow gives the same pixels
        return None
    buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    try:
        return decode_jpeg(buffer, mode=ImageReadMode.RGB)
    except RuntimeError:
        return None


def _pillow(data: bytes, name: str) -> Tensor:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # notes on odd metadata
            image = Image.open(io.BytesIO(data)).convert("RGB")
    except UnidentifiedImageError:
        raise input_error(name, "data that is not an image", "a JPEG, PNG or other picture") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise input_error(name, f"a broken image ({error})", "a whole picture",
                          "replace it, or go on without it by --skip_bad_images") from None
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)
