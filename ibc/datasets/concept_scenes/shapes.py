"""Outlines of shapes and parts, as polygons in the figure's own frame: centre (0, 0), radius 1, x right, y down.

A region is a list of polygons, each (n, 2) float32: the first is filled, the following ones are holes in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

Region = list[np.ndarray]


def polygon(points: Sequence[tuple[float, float]]) -> np.ndarray:
    """The corners (x, y) as (n, 2) float32."""
    return np.array(points, dtype=np.float32)


def ellipse(x: float, y: float, width: float, height: float | None = None) -> np.ndarray:
    """An ellipse around (x, y), (40, 2) float32, with half axes ``width`` and ``height``; without height, a circle."""
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return np.stack([x + width * np.cos(turn), y + (height or width) * np.sin(turn)], axis=1).astype(np.float32)


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """The corners of a rectangle, (4, 2) float32."""
    return polygon([(left, top), (right, top), (right, bottom), (left, bottom)])


def _cross(arm: float = 0.38) -> np.ndarray:
    corners = [(-arm, -1), (arm, -1), (arm, -arm), (1, -arm), (1, arm), (arm, arm)]
    return polygon(corners + [(-x, -y) for x, y in corners])


def _star(inner: float = 0.52, outer: float = 1.15) -> np.ndarray:
    turn = np.arange(10) * np.pi / 5 - np.pi / 2
    radius = np.where(np.arange(10) % 2, inner, outer)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1).astype(np.float32)


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return (np.stack([x, y - 1.5], axis=1) / 15.5).astype(np.float32)


def _crescent() -> np.ndarray:
    """The unit circle without the part that a circle on its right covers; the two horns lie on both circles."""
    horn = np.radians(50)
    centre = 0.75
    radius = np.hypot(np.cos(horn) - centre, np.sin(horn))
    opening = np.arctan2(np.sin(horn), np.cos(horn) - centre)
    back = np.linspace(horn, 2 * np.pi - horn, 40)
    hollow = np.linspace(2 * np.pi - opening, opening, 30)[1:-1]
    x = np.concatenate([np.cos(back), centre + radius * np.cos(hollow)])
    y = np.concatenate([np.sin(back), radius * np.sin(hollow)])
    return np.stack([x + 0.15, y], axis=1).astype(np.float32)


_SHAPES: dict[str, Region] = {
    "disc": [ellipse(0, 0, 1)],
    "square": [rectangle(-0.86, -0.86, 0.86, 0.86)],
    "triangle": [polygon([(0, -1.1), (1.08, 0.78), (-1.08, 0.78)])],
    "star": [_star()],
    "cross": [_cross()],
    "ring": [ellipse(0, 0, 1.08), ellipse(0, 0, 0.55)],
    "heart": [_heart()],
    "crescent": [_crescent()],
}


def shape(name: str) -> Region:
    """The outline of a figure without its part; ``name`` is one of ``vocabulary.SHAPES``."""
    return _SHAPES[name]


@dataclass(frozen=True)
class FigurePart:
    """A part of a figure, such as its wheels.

    pieces: (region, colour), painted in this order; colours are white, grey or black, so that the figure keeps its
    colour. behind: paint them before the body of the figure, not after it.
    """

    pieces: tuple[tuple[Region, str], ...]
    behind: bool = False


@cache
def part(name: str) -> FigurePart:
    """The part of a name of ``vocabulary.PARTS``."""
    if name == "eye":
        return FigurePart((([ellipse(0, -0.12, 0.36)], "black"), ([ellipse(0, -0.12, 0.31)], "white"),
                     ([ellipse(0.08, -0.1, 0.15)], "black")))
    if name == "handle":
        return FigurePart((([ellipse(0.98, 0, 0.58, 0.62), ellipse(0.98, 0, 0.32, 0.36)], "grey"),), behind=True)
    if name == "wheels":
        return FigurePart(tuple(([ellipse(x, 0.92, radius)], color) for x in (-0.56, 0.56)
                          for radius, color in ((0.34, "black"), (0.13, "grey"))))
    if name == "window":
        panes = [rectangle(x, y, x + 0.26, y + 0.26) for x in (-0.29, 0.03) for y in (-0.29, 0.03)]
        return FigurePart((([rectangle(-0.36, -0.36, 0.36, 0.36)], "black"), *(([pane], "grey") for pane in panes)))
    if name == "flag":
        return FigurePart((([rectangle(-0.05, -1.85, 0.05, -0.46)], "black"),
                     ([polygon([(0.05, -1.85), (0.85, -1.55), (0.05, -1.22)])], "white")), behind=True)
    if name == "wings":
        right = polygon([(0.2, -0.35), (1.75, -0.85), (1.6, -0.3), (1.4, -0.05), (1.2, 0.15), (0.2, 0.35)])
        return FigurePart((([right], "white"), ([right * np.array([-1, 1], np.float32)], "white")), behind=True)
    raise KeyError(name)
