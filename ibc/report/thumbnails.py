"""Square thumbnails of image files for sheets and pages, without torch.

What a codes file calls its images flows in; images flow out. A file that is missing or is no image is a value here,
not an error: the images may have moved since extraction.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable

from PIL import Image

from ibc.data.image_reader import UnreadableImage, read_pixels
from ibc.data.limits import most_image_bytes
from ibc.data.zip_folder import read_bytes
from ibc.errors import input_error

JPEG_QUALITY = 85


def thumbnail(file: str | None, side: int) -> Image.Image | None:
    """The middle square of an image file (or ``pack.zip:member``), ``side`` x ``side`` pixels, RGB; None without one.

    None: no file is known, it is missing, or it is not an image.
    """
    if file is None:
        return None
    try:
        content = read_bytes(file, regular=True, most=most_image_bytes())
        image = Image.fromarray(read_pixels(content, os.path.splitext(file)[1], side=2 * side))
    except (OSError, ValueError, UnreadableImage):  # ValueError: an InputError, or a zero byte in the name
        return None
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    return image.resize((side, side), Image.Resampling.LANCZOS, (left, top, left + short, top + short))


def as_data_url(image: Image.Image) -> str:
    """The image as a JPEG inside a ``data:`` address."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def check_found(images: dict[str, Image.Image | None], folder: str) -> int:
    """How many of the images were not found. Raises InputError where none was, though some are asked for."""
    missing = [file for file, image in images.items() if image is None]
    if images and len(missing) == len(images):
        raise input_error(missing[0], f"no image there, nor at {len(missing) - 1} other paths of the codes file",
                          "the images that the codes were made of",
                          "have they moved? give the folder that holds them by --images" if not folder else
                          f"have they moved? --images {folder} does not hold them")
    return len(missing)


def lost_images(files: Iterable[str | None]) -> list[str]:
    """Those of the files that are missing or no images, each once."""
    return [file for file in dict.fromkeys(files) if file is not None and thumbnail(file, 1) is None]


def load_thumbnails(files: Iterable[str | None], side: int, folder: str) -> dict[str, Image.Image | None]:
    """File -> thumbnail or None, each read once. Raises InputError where not one can be read."""
    found = {file: thumbnail(file, side) for file in dict.fromkeys(files) if file is not None}
    if not found:
        raise input_error(None, "a codes file without paths", "paths of the images", "extract the codes again")
    check_found(found, folder)
    return found
