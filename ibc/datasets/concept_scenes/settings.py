"""What decides on every file of a data set of concept scenes."""

from __future__ import annotations

from dataclasses import dataclass

from ibc.errors import input_error

_LIMITS = {"train": (1, 999_999), "test": (1, 999_999), "broden": (0, 999_999), "size": (64, 1024),
           "seed": (0, 2**63 - 1)}


@dataclass(frozen=True)
class SceneSettings:
    """train, test, broden: numbers of images for training, for testing, and with masks. size: their side in pixels."""

    train: int = 3600
    test: int = 720
    broden: int = 240
    size: int = 160
    seed: int = 0

    def check(self) -> None:
        """Raise InputError for a value that cannot be drawn."""
        for name, (low, high) in _LIMITS.items():
            if not low <= getattr(self, name) <= high:
                raise input_error(f"--{name}", str(getattr(self, name)), f"a number from {low} to {high}")
