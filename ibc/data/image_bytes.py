"""Images as the bytes of a file."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image


def image_bytes(image: Image.Image, kind: str, **options: Any) -> bytes:
    """What ``image.save(file, kind, **options)`` would write.

    Pillow writes the pixels to a file past Python, and does not notice when a disk takes only a part of them: where it
    is almost full, half an image would be left without an error.
    """
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
