"""The image while it is painted: its pixels, and label planes that say what is where.

Regions are filled with anti-aliased edges. In the label planes a pixel belongs to a region that covers half of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ibc.datasets.concept_scenes.patterns import Frame, Pattern
from ibc.datasets.concept_scenes.shapes import Region
from ibc.datasets.concept_scenes.vocabulary import COLOURS, PLANES

_FINER = 2  # outlines are drawn this much larger, then reduced
_WHITE = np.array((246, 246, 242), np.float32)
_WHITE_LABEL = np.uint8(COLOURS.index("white") + 1)

Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels


@dataclass(frozen=True)
class Pose:
    """Where a figure stands: centre and radius in pixels, turn in radians."""

    x: float
    y: float
    radius: float
    turn: float

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points of the figure's frame, (n, 2), to points in pixels, (n, 2)."""
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        return points @ np.array([[cos, sin], [-sin, cos]]) * self.radius + [self.x, self.y]

    def frame(self, box: Box) -> Frame:
        """The place in the figure's frame of the pixel centres of a box: u and v, each (h, w) float32."""
        left, top, right, bottom = box
        x = ((np.arange(left, right) + 0.5 - self.x) / self.radius).astype(np.float32)[None, :]
        y = ((np.arange(top, bottom) + 0.5 - self.y) / self.radius).astype(np.float32)[:, None]
        cos, sin = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        return cos * x + sin * y, cos * y - sin * x


class Canvas:
    """An image of side S.

    pixels: (S, S, 3) float32 in 0..255. planes: category -> (S, S) uint8, 0 for none, n for its n-th concept.
    """

    def __init__(self, pixels: np.ndarray, colors: np.ndarray):
        """Start from a background, (S, S, 3) float32; ``colors``: (S, S) uint8, the place in COLOURS of each pixel."""
        self.size = len(pixels)
        self.pixels = pixels
        self.planes = {category: np.zeros_like(colors) for category in PLANES}
        self.planes["color"] = colors + np.uint8(1)

    def fill(self, region: Region, pose: Pose, color: str, rgb: np.ndarray, labels: dict[str, int], *,
             pattern: Pattern | None = None, edge: float = 0) -> None:
        """Paint a region in a colour, or in a pattern of the colour and white.

        rgb: (3,) float32, the shade of ``color``. labels: category -> what the covered pixels are from now on.
        edge: width in pixels of a darker line around the region.
        """
        outlines = [pose.place(points) for points in region]
        box = self._box(outlines[0], edge + 2)
        left, top, right, bottom = box
        if left >= right or top >= bottom:
            return
        part = np.s_[top:bottom, left:right]
        flat = [((points - (left, top)) * _FINER).ravel().tolist() for points in outlines]
        cover = _coverage(flat, box)
        code = np.uint8(COLOURS.index(color) + 1)
        if pattern is None:
            tone, codes = rgb, np.full_like(cover, code, dtype=np.uint8)
        else:
            ink = pattern(pose.frame(box))
            tone, codes = _WHITE + ink[..., None] * (rgb - _WHITE), np.where(ink > 0.5, code, _WHITE_LABEL)
        pixels = self.pixels[part]
        pixels += cover[..., None] * (tone - pixels)
        if edge:
            pixels += _line(flat, box, edge)[..., None] * (rgb * np.float32(0.35) - pixels)
        inside = cover > 0.5
        for category, label in labels.items():
            self.planes[category][part][inside] = label
        np.copyto(self.planes["color"][part], codes, where=inside)

    def _box(self, points: np.ndarray, margin: float) -> Box:
        """The pixels around an outline, as far as they are in the image."""
        low, high = np.floor(points.min(0) - margin), np.ceil(points.max(0) + margin)
        left, top, right, bottom = np.clip([*low, *high], 0, self.size).astype(int).tolist()
        return left, top, right, bottom


def _mask(box: Box) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    left, top, right, bottom = box
    mask = Image.new("L", ((right - left) * _FINER, (bottom - top) * _FINER))
    return mask, ImageDraw.Draw(mask)


def _reduced(mask: Image.Image) -> np.ndarray:
    return np.asarray(mask.reduce(_FINER), np.float32) / np.float32(255)


def _coverage(flat: list[list[float]], box: Box) -> np.ndarray:
    """How much of each pixel lies in the first polygon and not in the others: (h, w) float32 in 0..1."""
    mask, pen = _mask(box)
    for number, points in enumerate(flat):
        pen.polygon(points, fill=0 if number else 255)
    return _reduced(mask)


def _line(flat: list[list[float]], box: Box, width: float) -> np.ndarray:
    """How much of each pixel lies under a line along the polygons."""
    mask, pen = _mask(box)
    for points in flat:
        pen.line(points + points[:4], fill=255, width=max(1, round(width * _FINER)), joint="curve")
    return _reduced(mask)
