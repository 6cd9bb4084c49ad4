"""Textures of figures: patterns in the figure's colour and white, over the figure's own frame."""

from __future__ import annotations

import numpy as np

Frame = tuple[np.ndarray, np.ndarray]  # u and v at each pixel, (h, w) float32, in units of the figure's radius


class Pattern:
    """A striped, dotted, checked, zigzag or grid pattern with its own turn, period and phase."""

    def __init__(self, name: str, rng: np.random.Generator):
        self.level = _LEVELS[name]
        self.turn = rng.uniform(-0.5, 0.5) + np.pi / 2 * rng.integers(2)
        self.period = rng.uniform(0.4, 0.52)
        self.phase = rng.random(2)

    def __call__(self, frame: Frame) -> np.ndarray:
        """(h, w) float32: 1 where the figure's colour shows, 0 where white does, between them on the borders."""
        u, v = frame
        cos, sin = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        a = (cos * u + sin * v) / np.float32(self.period) + np.float32(self.phase[0])
        b = (cos * v - sin * u) / np.float32(self.period) + np.float32(self.phase[1])
        return np.clip(self.level(a, b) + np.float32(0.5), 0, 1)


# Each level is above 0 in the figure's colour and below 0 in white; a and b count periods along two axes.


def _striped(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 3 * np.sin(2 * np.pi * a)


def _dotted(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a = a + 0.5 * (np.floor(b) % 2)  # every other row is shifted
    return 8 * (np.hypot(a % 1 - 0.5, b % 1 - 0.5) - 0.29)


def _checked(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 5 * np.sin(1.15 * np.pi * a) * np.sin(1.15 * np.pi * b)


def _zigzag(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 3 * np.sin(2 * np.pi * (b + 0.9 * np.abs(a % 1 - 0.5)))


def _grid(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 8 * (0.4 - np.maximum(np.abs(a % 1 - 0.5), np.abs(b % 1 - 0.5)))


_LEVELS = {"striped": _striped, "dotted": _dotted, "checked": _checked, "zigzag": _zigzag, "grid": _grid}
