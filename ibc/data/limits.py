"""How large an image may be: a small file must not fill the memory.

Every reader of images asks here before pixels are decoded, and before a file or a member of an archive is read whole.
Arrays have their own limit (``ibc.arrays.limits``), which also holds for other members of archives.
"""

from __future__ import annotations

import math
import os

from ibc.errors import input_error

SETTING = "IBC_IMAGE_MEGAPIXELS"  # environment variable: million pixels that an image may have
DEFAULT_PIXELS = 178_956_970      # Pillow's own bound
RAISE = f"make it smaller, or set {SETTING} to more, in the environment, if you trust the file"


def most_pixels() -> int:
    """Pixels that an image may have. Raises InputError where the environment variable is no number."""
    text = os.environ.get(SETTING, "")
    try:
        value = float(text) * 1e6 if text else DEFAULT_PIXELS
    except ValueError:
        value = math.nan
    if not 0 < value < 2**40:
        raise input_error(f"environment variable {SETTING}", f"'{text}'", "a number of million pixels above 0")
    return int(value)


def most_image_bytes() -> int:
    """Bytes that an image file may have: those of so many pixels. What is larger is a film or an archive."""
    return 3 * most_pixels()
