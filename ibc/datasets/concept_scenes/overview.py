"""One image of every class on a sheet, with its name: shows people what the data set looks like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_COLUMNS, _GAP, _CAPTION = 6, 8, 28


def overview(images: Sequence[np.ndarray], names: Sequence[str]) -> Image.Image:
    """A sheet of images, each (S, S, 3) uint8, with their names below them."""
    size = len(images[0])
    rows = -(-len(images) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * (size + _GAP) + _GAP, rows * (size + _CAPTION + _GAP) + _GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    for number, (pixels, name) in enumerate(zip(images, names, strict=True)):
        left = _GAP + number % _COLUMNS * (size + _GAP)
        top = _GAP + number // _COLUMNS * (size + _CAPTION + _GAP)
        sheet.paste(Image.fromarray(pixels), (left, top))
        pen.multiline_text((left, top + size + 2), name.replace(", ", "\n", 1), fill="black", font=font, spacing=2)
    return sheet
