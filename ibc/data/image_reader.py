"""One reader for images: what is opened, how large it may be, and which pixels a file stands for.

Pixels are those that a viewer shows: upright, the first frame, transparency laid on white, 16 bits scaled to 8.
Loaders, preparation, dissection, search and doctor all read by these rules. This needs Pillow and no torch, which takes
2 s to load.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
from PIL import Image, UnidentifiedImageError

from ibc.data.image_kinds import RAW_ENDINGS, kind_not_read
from ibc.data.jpeg import exif_orientation
from ibc.data.limits import RAISE, most_pixels

# Decoders that compute pixels and nothing else. Left out of Pillow's: EPS, which runs Ghostscript; WMF, BUFR, GRIB,
# HDF5 and MPEG, which have no decoder of their own; and formats that no image of today is in.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "PPM", "WEBP", "TIFF", "AVIF", "JPEG2000", "TGA", "ICO", "PCX", "SGI",
           "QOI", "PSD", "DDS", "SUN")
_STRIP = 1 << 22  # pixels of an image that are laid on white at once

_PICTURE = "a JPEG, PNG or other picture"


class UnreadableImage(Exception):
    """No pixels can be had from an image file.

    reason: a few words, for a table. found, expected, do: for ``ibc.errors.input_error``.
    """

    def __init__(self, reason: str, found: str, expected: str, do: str | None = None):
        super().__init__(reason)
        self.reason, self.found, self.expected, self.do = reason, found, expected, do


@contextmanager
def open_image(source: bytes | str | os.PathLike) -> Iterator[Image.Image]:
    """An image file, or its content, opened by Pillow: of a known format and not too large; nothing is decoded yet.

    In the ``with`` block, too, any error of a decoder becomes an UnreadableImage. Raises OSError for a path that cannot
    be read.
    """
    allowed = most_pixels()
    if Image.MAX_IMAGE_PIXELS is not None and allowed > 2 * Image.MAX_IMAGE_PIXELS:  # at twice which Pillow refuses
        Image.MAX_IMAGE_PIXELS = -(-allowed // 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # notes on odd metadata, and on sizes below the bound
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=_formats()) as image:
                check_pixels(*image.size)
                yield image
    except UnreadableImage:
        raise
    except UnidentifiedImageError:
        raise _unknown(source if isinstance(source, bytes) else _head(source)) from None
    except Image.DecompressionBombError:
        raise _too_large() from None
    except Exception as error:  # decoders answer damaged files with errors of any kind
        if isinstance(error, OSError) and error.errno and not isinstance(source, bytes):
            raise  # the file itself cannot be read
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableImage(f"damaged: {reason}", f"a broken image ({reason})", "a whole picture",
                              "replace it, or go on without it by --skip_bad_images") from None


@cache
def _formats() -> tuple[str, ...]:
    """Those of ``FORMATS`` that this Pillow has."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def check_extension(extension: str) -> None:
    """Raises UnreadableImage for the extension of a kind that is not read although it can be opened."""
    if extension.lower() in RAW_ENDINGS:
        raise _not_read("a camera's raw file")


def check_pixels(width: int, height: int) -> None:
    """Raises UnreadableImage for an image that would take too much memory."""
    if width * height > most_pixels():
        raise _too_large(width * height)


def read_pixels(data: bytes, extension: str = "", side: int | None = None) -> np.ndarray:
    """(h, w, 3) uint8 RGB, upright, of the content of an image file. Raises UnreadableImage.

    extension: of its name. side: pixels that are enough for the shorter side; a larger JPEG is then decoded at 1/2, 1/4
    or 1/8 of its scale. None: at its own.
    """
    check_extension(extension)
    with open_image(data) as image:
        if side is not None:
            image.draft("RGB", (side, side))
        return upright(np.asarray(to_rgb(image, [])), orientation_of(image))


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of an image, 1 to 8; 1: upright. PNGs have to be loaded before: it may follow the pixels.

    Pillow turns TIFFs itself.
    """
    exif = image.info.get("exif")
    return exif_orientation(exif) if isinstance(exif, bytes) and image.format != "TIFF" else 1


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """(h, w, 3) as a viewer shows it, for an EXIF orientation of 1 to 8."""
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    down, right = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return np.ascontiguousarray(pixels[:: -1 if down else 1, :: -1 if right else 1])


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) of an opened image as a viewer shows it."""
    width, height = image.size
    return (height, width) if orientation_of(image) >= 5 else (width, height)


def to_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """RGB of 8 bits; transparency is laid on white, 16-bit values are divided by 257. It is not turned.

    notes: receives what had to be handled. Raises UnreadableImage for pixels whose range is not known.
    """
    image.load()
    if image.mode == "RGB":
        return image if "transparency" not in image.info else _on_white(image, notes)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _from_16_bits(image, notes)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return _on_white(image, notes)
    if image.mode == "CMYK":
        notes.append("CMYK to RGB")
    return image.convert("RGB")


def _from_16_bits(image: Image.Image, notes: list[str]) -> Image.Image:
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        found = f"pixels of mode {image.mode}, whose range is not known"
        raise UnreadableImage(found, found, "8 or 16 bits", "save it with 8 or 16 bits")
    notes.append("16 bits to 8")
    pixels = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    clear = image.info.get("transparency")
    if isinstance(clear, int):  # one grey value is transparent
        notes.append("transparency laid on white")
        pixels[values == clear] = 255
    return Image.fromarray(pixels).convert("RGB")


def _on_white(image: Image.Image, notes: list[str]) -> Image.Image:
    """RGB, with transparent pixels laid on white, strip by strip: an image with four channels more is large."""
    notes.append("transparency laid on white")
    result = Image.new("RGB", image.size)
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        layer = image.crop((0, top, image.width, min(top + rows, image.height))).convert("RGBA")
        result.paste(Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB"), (0, top))
    return result


def _unknown(data: bytes) -> UnreadableImage:
    """The error of content that is no image, or of one of the kinds that are not read."""
    kind = kind_not_read(data)
    if kind is not None:
        return _not_read(kind)
    return UnreadableImage("not an image" if data.strip(b"\0") else "empty file", "data that is not an image", _PICTURE)


def _not_read(kind: str) -> UnreadableImage:
    return UnreadableImage(f"{kind}, a kind that is not read", kind, _PICTURE, "convert it to JPEG or PNG")


def _too_large(pixels: int | None = None) -> UnreadableImage:
    def millions(count: int) -> str:
        return f"{count / 1e6:{'.0f' if count >= 1e7 else '.2g'}} million pixels"

    bound = millions(most_pixels())
    return UnreadableImage(f"more than {bound}", millions(pixels) if pixels else f"more than {bound}",
                           f"an image of at most {bound}", RAISE)


def _head(path: str | os.PathLike) -> bytes:
    with open(path, "rb") as handle:
        return handle.read(1024)
