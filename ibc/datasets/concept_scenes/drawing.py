"""Draws one image of a class: scene, clutter, the figure with its part, light and noise.

A composition and a random generator flow in. The pixels, a label map for each category but the scene, and the
attributes flow out. The attributes are read from the label maps, so they say what is visible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ibc.datasets.concept_scenes.backgrounds import PAINTERS, smooth_noise
from ibc.datasets.concept_scenes.canvas import Canvas, Pose
from ibc.datasets.concept_scenes.patterns import Pattern
from ibc.datasets.concept_scenes.shapes import part, shape
from ibc.datasets.concept_scenes.vocabulary import CONCEPTS, FIGURE_COLOURS, LEAST_SHARE, SHAPES, Composition, label

_RGB = {
    "red": (206, 34, 38), "orange": (246, 130, 24), "yellow": (248, 212, 36), "green": (44, 150, 62),
    "blue": (36, 84, 206), "purple": (124, 52, 172), "pink": (242, 104, 170), "black": (26, 26, 30),
    "white": (242, 242, 238), "grey": (150, 154, 160),
}


@dataclass
class SceneImage:
    """A drawn image of side S with what it shows.

    pixels: (S, S, 3) uint8. maps: category -> (S // 2, S // 2) uint8, 0 for none, n for the n-th concept of the
    category. attributes: (A,) bool in the order of ``attribute_names``.
    """

    pixels: np.ndarray
    maps: dict[str, np.ndarray]
    attributes: np.ndarray


def draw(composition: Composition, rng: np.random.Generator, size: int) -> SceneImage:
    """An image of ``composition``, ``size`` × ``size`` pixels; the same state of the generator gives the same image."""
    canvas = Canvas(*PAINTERS[composition.scene](rng, size))
    for _ in range(int(rng.integers(2, 6))):
        _clutter(canvas, rng)
    _figure(canvas, composition, rng)
    if rng.random() < 0.4:
        _clutter(canvas, rng)
    odd = np.s_[1 : size // 2 * 2 : 2, 1 : size // 2 * 2 : 2]
    maps = {category: plane[odd] for category, plane in canvas.planes.items()}
    return SceneImage(_light(canvas.pixels, rng), maps, attributes_of(maps, composition.scene))


def attributes_of(maps: dict[str, np.ndarray], scene: str) -> np.ndarray:
    """Which concepts an image shows, (A,) bool: those that cover LEAST_SHARE of its label map, and its scene."""
    shown: list[bool] = []
    for category, names in CONCEPTS.items():
        if category == "scene":
            shown += [name == scene for name in names]
        else:
            counts = np.bincount(maps[category].ravel(), minlength=len(names) + 1)[1:]
            shown += (counts >= LEAST_SHARE[category] * maps[category].size).tolist()
    return np.array(shown, dtype=bool)


def _figure(canvas: Canvas, composition: Composition, rng: np.random.Generator) -> None:
    """Draw the figure of the class with its part."""
    size = canvas.size
    pose = Pose(rng.uniform(0.32, 0.68) * size, rng.uniform(0.32, 0.68) * size, rng.uniform(0.2, 0.31) * size,
                rng.uniform(-0.4, 0.4))
    rgb = _jitter(composition.color, rng)
    pattern = None if composition.texture == "plain" else Pattern(composition.texture, rng)
    extra = part(composition.part)
    shade = np.float32(rng.uniform(0.88, 1.04))

    def add_part() -> None:
        for region, color in extra.pieces:
            canvas.fill(region, pose, color, np.array(_RGB[color], np.float32) * shade,
                        {"part": label("part", composition.part), "texture": 0}, edge=0.006 * size)

    if extra.behind:
        add_part()
    canvas.fill(shape(composition.object), pose, composition.color, rgb,
                {"object": label("object", composition.object), "part": 0,
                 "texture": label("texture", composition.texture)}, pattern=pattern, edge=0.01 * size)
    if not extra.behind:
        add_part()


def _clutter(canvas: Canvas, rng: np.random.Generator) -> None:
    """A small plain shape in any of the figures' colours, anywhere."""
    size = canvas.size
    name = SHAPES[rng.integers(len(SHAPES))]
    color = FIGURE_COLOURS[rng.integers(len(FIGURE_COLOURS))]
    pose = Pose(rng.random() * size, rng.random() * size, rng.uniform(0.025, 0.04) * size, rng.uniform(0, 2 * np.pi))
    canvas.fill(shape(name), pose, color, _jitter(color, rng),
                {"object": label("object", name), "part": 0, "texture": label("texture", "plain")})


def _jitter(color: str, rng: np.random.Generator) -> np.ndarray:
    """A shade of the colour, (3,) float32: lighter or darker and a little off its hue, but still of that name."""
    rgb = np.array(_RGB[color], np.float32) * rng.uniform(0.84, 1.08) + rng.uniform(-14, 14, 3)
    return np.clip(rgb, 0, 255).astype(np.float32)


def _light(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add uneven light and sensor noise to the finished image: (S, S, 3) float32 to uint8."""
    size = len(pixels)
    light = np.float32(rng.uniform(0.86, 1.03)) + np.float32(0.22) * (smooth_noise(rng, size, 2) - np.float32(0.4))
    noise = rng.standard_normal((size, size), dtype=np.float32) * np.float32(rng.uniform(2, 7))
    return np.clip(pixels * light[..., None] + noise[..., None], 0, 255).astype(np.uint8)
