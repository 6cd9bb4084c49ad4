"""What the package needs to know of a backbone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ibc.normalise import MEAN, STD

Colour = tuple[float, float, float]  # red, green, blue


@dataclass(frozen=True)
class Backbone:
    """A network without its classifier.

    title: its name for people. width: D, channels of its maps. side: pixels a side of the images that its weights were
    trained on. trunk: builds it with random weights: images (B, 3, H, W), normalised by ``mean`` and ``std``, to maps
    (B, D, h, w). Its weights have the names of the published file, which may hold more (a classifier). url: says where
    that file is published, or file: finds it among the installed packages. mean, std: of pixels in [0, 1].
    """

    title: str
    width: int
    side: int
    trunk: Callable[[], nn.Module]
    url: Callable[[], str] | None = None
    file: Callable[[], Path] | None = None
    mean: Colour = MEAN
    std: Colour = STD
