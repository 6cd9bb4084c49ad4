"""One image: the bytes as published in, the bytes to store out.

A plain JPEG or PNG that is not too large is kept as it is. Any other image is decoded, made RGB, resized to the
shorter side, turned upright and encoded again, by the rules of ``ibc.data.image_reader``. For what cannot be used
``Unusable`` is raised, with the reason.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ibc.data.image_reader import UnreadableImage, check_extension, open_image, orientation_of, to_rgb, upright

try:
    import simplejpeg  # libjpeg-turbo that reports damage Pillow passes over, and gives arrays without a copy
except ImportError:  # Pillow does it too, slower
    simplejpeg = None

_ENDINGS = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png"}  # MPO: a JPEG with more images behind it
_OTHER_ENDINGS = {".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".tif": ".tiff", ".jp2": ".jpeg2000",
                  ".j2k": ".jpeg2000", ".pgm": ".ppm", ".pbm": ".ppm", ".pnm": ".ppm"}
_JPEG = ("JPEG", "MPO")

# A JPEG is decoded at 1/2, 1/4 or 1/8 of its scale as long as this many times the wanted size is left. The result
# then differs from that of full decoding about as much as the bilinear filter's from the bicubic filter's: 35 to 47 dB
# against 36 to 43, and 44 or more from twice the size on (tests/benchmarks/prepare_speed.py --quality).
REDUCED_MARGIN = 1.15


class Unusable(Exception):
    """The image cannot be used; the message says why, for skipped.csv."""


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image ready to be stored.

    data: content of the file; None: that of the source as it is. extension: of its name. notes: what had to be handled.
    """

    data: bytes | None
    extension: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is done to an image.

    size: shorter side in pixels, for larger images. quality: 1 to 100, of the JPEGs that are written. keep_large: keep
    plain images of any size as they are.
    """

    size: int
    quality: int
    keep_large: bool = False


def prepare_image(data: bytes, recipe: Recipe, extension: str = "") -> PreparedImage:
    """Apply the recipe to the content of an image file; ``extension`` is that of its published name.

    Raises Unusable for what is not an image, is damaged, too large, or has pixels of unknown range.
    """
    try:
        check_extension(extension)
        with open_image(data) as image:
            return _prepare(image, data, recipe, extension)
    except UnreadableImage as error:
        raise Unusable(error.reason) from None


def estimate_bytes(data: bytes, recipe: Recipe) -> tuple[int, bool]:
    """(bytes of the file that will be stored, about; whether that is the original). Raises Unusable.

    It uses Pillow alone: torch, which resizes in ``prepare_image``, takes seconds to load.
    """
    try:
        with open_image(data) as image:
            if recipe.keep_large or min(image.size) <= recipe.size:
                return len(data), True
            target = _target(*image.size, recipe.size)
            image.draft(None, target)
            buffer = io.BytesIO()
            image.convert("RGB").resize(target).save(buffer, "JPEG", quality=recipe.quality)
            return buffer.tell(), False
    except UnreadableImage as error:  # the conversion will say so
        raise Unusable(error.reason) from None


def _prepare(image: Image.Image, data: bytes, recipe: Recipe, extension: str) -> PreparedImage:
    """``prepare_image`` for an image that Pillow has opened; errors are those of the decoders."""
    notes: list[str] = []
    format = image.format or ""
    animated = format not in _JPEG and getattr(image, "n_frames", 1) > 1
    if format not in _JPEG:
        image.load()  # turns a TIFF; and in a PNG, the orientation may follow the pixels
    turn = orientation_of(image)
    if _OTHER_ENDINGS.get(extension.lower(), extension.lower()) not in ("", _ENDINGS.get(format, f".{format.lower()}")):
        notes.append("wrongly named")
    plain = format in _ENDINGS and image.mode in ("RGB", "L") and "transparency" not in image.info
    large = min(image.size) > recipe.size
    if plain and turn == 1 and not animated and (recipe.keep_large or not large):
        _decode(image, data, 8, notes)  # finds damage
        return PreparedImage(None, _ENDINGS[format], tuple(notes))
    if large:
        width, height = image.size
        target = _target(width, height, recipe.size)
        reduction = _reduction(min(width, height), recipe.size) if format in _JPEG else 1
        pixels = _decode(image, data, reduction, notes)
        pixels = _resize(pixels, target, (width / reduction, height / reduction))
    else:
        pixels = _decode(image, data, 1, notes)
    if turn > 1:
        notes.append("turned upright")
        pixels = upright(pixels, turn)
    if animated:
        notes.append("first frame of several")
    if large or format in _JPEG:
        return PreparedImage(_encode_jpeg(pixels, recipe.quality), ".jpg", tuple(notes))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")  # small and without loss so far
    return PreparedImage(buffer.getvalue(), ".png", tuple(notes))


def _target(width: int, height: int, size: int) -> tuple[int, int]:
    """(width, height) with the shorter side at ``size`` and the other rounded to the nearest pixel."""
    short = min(width, height)
    return (2 * width * size + short) // (2 * short), (2 * height * size + short) // (2 * short)


def _reduction(shorter_side: int, size: int) -> int:
    """By how much a JPEG is reduced while it is decoded: 8, 4, 2 or 1."""
    return next((by for by in (8, 4, 2) if shorter_side / by >= REDUCED_MARGIN * size), 1)


def _decode(image: Image.Image, data: bytes, reduction: int, notes: list[str]) -> np.ndarray:
    """(h, w, 3) uint8 RGB; a JPEG reduced by 1, 2, 4 or 8, its sides rounded up. Raises ValueError or OSError."""
    width, height = (-(-side // reduction) for side in image.size)
    if image.format in _JPEG and image.mode in ("RGB", "L") and simplejpeg:
        return simplejpeg.decode_jpeg(data, "RGB", min_width=width, min_height=height)
    if reduction > 1:
        image.draft(None, (image.width // reduction, image.height // reduction))  # does nothing to other formats
    return np.asarray(to_rgb(image, notes))


def _resize(pixels: np.ndarray, target: tuple[int, int], extent: tuple[float, float]) -> np.ndarray:
    """Resize (h, w, 3) uint8 by the bicubic filter with anti-aliasing, Pillow's default; torch is several times faster.

    target: (width, height). extent: the part of ``pixels`` that the image covers, (width, height): the sides of a
    reduced JPEG are rounded up, and without it everything would move by up to half a pixel.
    """
    import torch  # noqa: PLC0415 - 2 s to load; where all images are kept as they are it is not needed

    # (1, 3, h, w), channels last; reshape and not [None], whose stride of 0 would undo that order in the result
    batch = torch.from_numpy(np.require(pixels, requirements="W").reshape(1, *pixels.shape)).permute(0, 3, 1, 2)
    scales = [(wanted + 1e-6) / covered for wanted, covered in zip(target, extent, strict=True)]
    small = torch.nn.functional.interpolate(batch, scale_factor=scales[::-1], mode="bicubic", antialias=True,
                                            recompute_scale_factor=False)
    return small[0].permute(1, 2, 0).contiguous().numpy()


def _encode_jpeg(pixels: np.ndarray, quality: int) -> bytes:
    """Encode (h, w, 3) uint8 as a JPEG with 4:2:0 subsampling, the usual one of photographs."""
    if simplejpeg:
        return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", "420")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
