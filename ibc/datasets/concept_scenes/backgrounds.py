"""The scenes behind the figures: sea, grass, sand, night sky, brick, snow.

Each painter takes a random generator and a size S. It returns the pixels, (S, S, 3) float32 in 0..255, and the colour
of each pixel, (S, S) uint8, as its place in ``vocabulary.COLOURS``. Lengths are shares of the image's side.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from ibc.datasets.concept_scenes.vocabulary import COLOURS

Painted = tuple[np.ndarray, np.ndarray]
RGB = tuple[int, int, int]


def smooth_noise(rng: np.random.Generator, size: int, across: int, down: int | None = None) -> np.ndarray:
    """Noise, (S, S) float32, about 0..1, that changes from cell to cell of a grid of ``across`` × ``down`` cells."""
    cells = rng.random((down or across, across), dtype=np.float32)
    return np.asarray(Image.fromarray(cells).resize((size, size), Image.Resampling.BICUBIC))


def _axes(size: int) -> tuple[np.ndarray, np.ndarray]:
    """x as (1, S) and y as (S, 1), both 0..1 at pixel centres."""
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    return line[None, :], line[:, None]


def _blend(weight: np.ndarray, low: RGB, high: RGB) -> np.ndarray:
    """From colour ``low`` where ``weight`` (S, S) is 0 to ``high`` where it is 1."""
    start = np.array(low, np.float32)
    return start + np.clip(weight, 0, 1)[..., None] * (np.array(high, np.float32) - start)


def _full(size: int, color: str) -> np.ndarray:
    return np.full((size, size), COLOURS.index(color), dtype=np.uint8)


def sea(rng: np.random.Generator, size: int) -> Painted:
    """Waves that grow towards the viewer, with white crests, under a strip of pale sky."""
    x, y = _axes(size)
    horizon = rng.uniform(0.04, 0.3)
    depth = (y - horizon) / (1 - horizon)  # 0 at the horizon, 1 at the lower edge
    drift = 5 * smooth_noise(rng, size, 5)
    wave = np.sin(26 * np.sqrt(np.maximum(depth, 0)) + 1.6 * np.sin(rng.uniform(5, 9) * x + drift) + drift)
    pixels = _blend(0.35 + 0.25 * wave + 0.2 * depth, (16, 62, 132), (58, 140, 204))
    crest = (wave > 0.97) & (depth > 0.1) & (smooth_noise(rng, size, 9) > 0.5)
    pixels[crest] = (206, 224, 238)
    colors = _full(size, "blue")
    colors[crest] = COLOURS.index("white")
    sky = depth[:, 0] < 0
    pixels[sky] = _blend(np.broadcast_to(y[sky] / 0.3, (int(sky.sum()), size)), (120, 176, 232), (176, 212, 244))
    return pixels, colors


def grass(rng: np.random.Generator, size: int) -> Painted:
    """Upright blades, lighter and darker."""
    blades = smooth_noise(rng, size, 56, 12) * 0.65 + smooth_noise(rng, size, 6) * 0.35
    return _blend(1.6 * blades - 0.3, (28, 84, 26), (122, 182, 58)), _full(size, "green")


def sand(rng: np.random.Generator, size: int) -> Painted:
    """Ripples blown by the wind, and grains."""
    x, y = _axes(size)
    ripple = np.sin(rng.uniform(32, 48) * (y + rng.uniform(-0.6, 0.6) * x) + 7 * smooth_noise(rng, size, 4))
    grains = rng.random((size, size), dtype=np.float32)
    return _blend(0.3 + 0.22 * ripple + 0.4 * grains, (190, 158, 106), (240, 216, 168)), _full(size, "beige")


def night_sky(rng: np.random.Generator, size: int) -> Painted:
    """Dark, with a faint glow and stars of one or two pixels across."""
    _, y = _axes(size)
    pixels = _blend(0.5 * y + 0.5 * smooth_noise(rng, size, 4), (6, 6, 18), (28, 28, 52))
    colors = _full(size, "black")
    for row, column, side in zip(*rng.integers(0, size, (2, 45)), rng.integers(1, 3, 45), strict=True):
        pixels[row:row + side, column:column + side] = 235
        colors[row:row + side, column:column + side] = COLOURS.index("white")
    return pixels, colors


def brick(rng: np.random.Generator, size: int) -> Painted:
    """A wall in running bond: each brick has its own brown, the joints are grey."""
    x, y = _axes(size)
    height, joint = rng.uniform(0.07, 0.1), 0.013
    width = 2.3 * height
    rise = y / height + rng.random()
    course = np.floor(rise).astype(int)
    along = x / width + rng.random() + 0.5 * (course % 2)
    tone = rng.random((64, 64), dtype=np.float32)[course % 64, np.floor(along).astype(int) % 64]
    pixels = _blend(0.8 * tone + 0.2 * smooth_noise(rng, size, 40), (104, 52, 34), (160, 92, 62))
    colors = _full(size, "brown")
    mortar = (along % 1 < joint / width) | (rise % 1 < joint / height)
    pixels[mortar] = (178, 172, 164)
    colors[mortar] = COLOURS.index("grey")
    return pixels, colors


def snow(rng: np.random.Generator, size: int) -> Painted:
    """Drifts with a bluish shade."""
    drifts = smooth_noise(rng, size, 4, 7) * 0.75 + smooth_noise(rng, size, 14, 24) * 0.25
    return _blend(1.7 * drifts - 0.25, (206, 217, 232), (251, 252, 254)), _full(size, "white")


PAINTERS = {"sea": sea, "grass": grass, "sand": sand, "night sky": night_sky, "brick": brick, "snow": snow}
