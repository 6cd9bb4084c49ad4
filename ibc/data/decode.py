"""Image files to uint8 tensors: libjpeg-turbo through torchvision for JPEGs, Pillow for the rest."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ibc.data.zip_folder import read_bytes
from ibc.errors import InputError, input_error

JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"


def decode_image(source: str | Path | bytes, decoder: str = "turbo", name: str | None = None) -> Tensor:
    """An image file (or ``pack.zip:member``), or its bytes, as (3, H, W) uint8 RGB.

    ``decoder``: ``turbo`` (libjpeg-turbo, Pillow for what is not a plain JPEG) or ``pillow``.
    ``name`` names bytes in messages. Raises InputError, naming the file, where the image is
    missing, cut off or not an image.
    """
    name = name or ("image" if isinstance(source, bytes) else str(source))
    try:
        data = source if isinstance(source, bytes) else read_bytes(source)
    except OSError as error:
        raise InputError(f"{name}: {error.strerror}") from None
    if decoder == "turbo" and is_whole_jpeg(data):
        image = _turbo(data)
        if image is not None:
            return image
    return _pillow(data, name)


def _turbo(data: bytes) -> Tensor | None:
    """A JPEG in RGB or grey; None leaves it (CMYK, broken) to Pillow and its messages."""
    try:
        from torchvision.io import ImageReadMode, decode_jpeg
    except ImportError:  # announced for a release to come; Pillow gives the same pixels
        return None
    buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    try:
        return decode_jpeg(buffer, mode=ImageReadMode.RGB)
    except RuntimeError:
        return None


def _pillow(data: bytes, name: str) -> Tensor:
    from PIL import Image, UnidentifiedImageError

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


def resize_shorter(image: Tensor, size: int) -> Tensor:
    """Bring the shorter side of (3, H, W) uint8 to ``size`` pixels, bilinear, antialiased as in Pillow."""
    height, width = image.shape[-2:]
    if min(height, width) == size:
        return image
    return F.interpolate(image[None], shorter_side(height, width, size), mode="bilinear", antialias=True)[0]


def shorter_side(height: int, width: int, size: int) -> tuple[int, int]:
    """(height, width) at the same aspect, with ``size`` as the shorter side."""
    shorter = min(height, width)
    return round(height * size / shorter), round(width * size / shorter)


def is_whole_jpeg(data: bytes | np.ndarray) -> bool:
    """Begins and ends as a JPEG does. A decoder fills what is cut off with grey and says nothing."""
    return bytes(data[:3]) == JPEG_START and bytes(data[-64:]).rstrip(b"\0").endswith(JPEG_END)


def baseline_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) of a baseline JPEG as decoding hardware takes it: one scan, grey or YCbCr, usual sampling.

    None for every other file. Markers and their fields: ITU-T T.81, annex B.
    """
    place, size, components = 2, None, 0
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        segment = data[place + 4 : place + 2 + length]
        if marker == _START_OF_FRAME and len(segment) >= 6:
            components = segment[5]
            names, sampling = segment[6 : 6 + 3 * components : 3], segment[7 : 7 + 3 * components : 3]
            usual = (components == 1 and sampling == b"\x11") or (
                components == 3 and sampling[1:] == b"\x11\x11" and sampling[0] in _LUMA_SAMPLING)
            if segment[0] != 8 or not usual or names == b"RGB":
                return None
            size = int.from_bytes(segment[1:3]), int.from_bytes(segment[3:5])
        elif marker == _ADOBE and segment[:5] == b"Adobe" and segment[11:12] == b"\0":
            return None  # its colours are stored as RGB
        elif marker == _START_OF_SCAN:
            return size if size and all(size) and segment[:1] == bytes([components]) else None
        elif marker in _OTHER_FRAMES or marker == 0xFF:
            return None
        place += 2 + length
    return None


_START_OF_FRAME, _START_OF_SCAN, _ADOBE = 0xC0, 0xDA, 0xEE
_OTHER_FRAMES = frozenset(range(0xC1, 0xD0)) - {0xC4, 0xC8, 0xCC}  # tables have those three
_LUMA_SAMPLING = b"\x11\x12\x21\x22"
