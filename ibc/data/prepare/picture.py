"""One image: the bytes as published in, the bytes to keep on disk out.

Kept as it is where it is a plain JPEG or PNG and not too large; otherwise decoded (JPEGs at reduced
scale), turned upright, made RGB, resized to the shorter side and encoded again. What no rule covers
raises ``Unusable`` with the reason.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

_ORIENTATION = 0x0112  # EXIF tag
_EXTENSION = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png"}  # MPO: a JPEG with more pictures behind it
_ANIMATED = {"GIF", "WEBP", "PNG", "TIFF", "AVIF"}


class Unusable(Exception):
    """The image cannot be used; the message says why, for skipped.csv."""


@dataclass(frozen=True, slots=True)
class Picture:
    """data: the file to store, or None for the source as it is. notes: what had to be handled."""

    data: bytes | None
    extension: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """size: shorter side in pixels. quality: of JPEGs written. keep_large: plain images of any size stay as they are."""

    size: int = 256
    quality: int = 95
    keep_large: bool = False


def prepare_picture(data: bytes, recipe: Recipe, extension: str = "") -> Picture:
    """Apply the recipe to an image file's content; ``extension`` is that of its published name.

    Raises Unusable for what is not an image, is damaged, too large, or has pixels of unknown range.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                return _prepare(image, recipe, extension)
    except Unusable:
        raise
    except UnidentifiedImageError:
        raise Unusable("empty file" if not data else "not an image") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Unusable(f"more than {Image.MAX_IMAGE_PIXELS} pixels") from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, ArithmeticError, RuntimeError) as error:
        # Pillow's decoders answer damaged files with any of these.
        raise Unusable(f"damaged: {' '.join(str(error).split()) or type(error).__name__}") from None


def _prepare(image: Image.Image, recipe: Recipe, extension: str) -> Picture:
    width, height = image.size
    notes = []
    orientation = image.getexif().get(_ORIENTATION, 1) if "exif" in image.info or image.format == "TIFF" else 1
    upright = orientation in (None, 0, 1)
    if not upright:
        notes.append("turned upright")
    if image.format in _ANIMATED and getattr(image, "n_frames", 1) > 1:
        notes.append("first frame of several")
    format = image.format or ""
    if extension and _family(extension) != _EXTENSION.get(format, f".{format.lower()}"):
        notes.append("wrongly named")
    plain = upright and format in _EXTENSION and image.mode in ("RGB", "L") and "first frame of several" not in notes
    plain = plain and "transparency" not in image.info
    large = min(width, height) > recipe.size
    if plain and (not large or recipe.keep_large):
        _check_decodes(image)
        return Picture(None, _EXTENSION[format], tuple(notes))
    if large and format in ("JPEG", "MPO"):
        image.draft(None, (recipe.size, recipe.size))
    image.load()
    if not upright:
        image = ImageOps.exif_transpose(image)
        if orientation >= 5:  # a quarter turn
            width, height = height, width
    pixels = _to_rgb(image, notes)
    if not large:
        return _encode(pixels, recipe, lossless=format not in ("JPEG", "MPO"), notes=notes)
    return _encode(_shrink(pixels, width, height, recipe.size), recipe, lossless=False, notes=notes)


def _check_decodes(image: Image.Image) -> None:
    """Find damage in a file that is kept: the whole stream is read, at an eighth of the scale where possible."""
    image.draft(None, (1, 1))
    image.load()


def _to_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """RGB, 8 bits; transparency laid on white; 16-bit values divided by 257."""
    mode = image.mode
    if mode == "RGB":
        return image
    if mode in ("I", "F") or mode.startswith("I;16"):
        values = np.asarray(image)
        if mode == "F" or (values.size and (values.min() < 0 or values.max() > 65535)):
            raise Unusable(f"pixels of mode {mode}, whose range is not known")
        notes.append("16 bits to 8")
        return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8)).convert("RGB")
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        notes.append("transparency laid on white")
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        ground.alpha_composite(layer)
        return ground.convert("RGB")
    if mode in ("CMYK", "YCCK"):
        notes.append("CMYK to RGB")
    return image.convert("RGB")


def _shrink(image: Image.Image, width: int, height: int, size: int) -> Image.Image:
    """Shorter side to ``size``; the aspect is that of the original width and height."""
    short = min(width, height)
    target = ((width * size * 2 + short) // (2 * short), (height * size * 2 + short) // (2 * short))
    return image.resize(target, Image.Resampling.BICUBIC, reducing_gap=3.0)


def _encode(image: Image.Image, recipe: Recipe, lossless: bool, notes: list[str]) -> Picture:
    buffer = io.BytesIO()
    if lossless:
        image.save(buffer, "PNG")
        return Picture(buffer.getvalue(), ".png", tuple(notes))
    image.save(buffer, "JPEG", quality=recipe.quality)
    return Picture(buffer.getvalue(), ".jpg", tuple(notes))


def _family(extension: str) -> str:
    extension = extension.lower()
    return {".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".tif": ".tiff"}.get(extension, extension)
