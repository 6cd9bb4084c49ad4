"""Settings of a dissection: every default has its home here, and every value is checked once.

Importing this file is cheap (no torch), so that help texts can name the defaults.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from ibc.data.broden.tables import CATEGORIES
from ibc.errors import input_error

DETECTOR_IOU = 0.04  # IoU from which NetDissect calls a unit a detector of a concept
IMAGENET = "imagenet"  # in place of a weights file: the weights that torchvision publishes
MEGABYTE = 2**20
CPU_MEMORY, GPU_MEMORY = 384 * MEGABYTE, 8192 * MEGABYTE  # for feature maps and tables of counts
MOST_PAIRINGS = 10_000
LARGEST_SIDE = 10_000  # pixels


@dataclass(frozen=True)
class DissectionSettings:
    """How to dissect.

    Where the official tool and the stated intent differ, the official behaviour is the default:

    * ``normalization``: ``official`` subtracts (123.68, 116.779, 103.939) and divides all channels by
      57.12; ``training`` scales pixels as the networks were trained. IBC on another backbone than AlexNet always
      takes ``training``.
    * ``quantile_position``: ``official`` takes the 994/999 quantile where q = 0.005 says 0.995;
      ``exact`` takes 1 - q.

    One thing of the official tool is not reproduced: where an image has no label map, it keeps the
    category presence of the unit before. That is a defect, and no published number needs it.

    Raises InputError where a value is out of range.
    """

    quantile: float = 0.005             # upper fraction of responses that counts as firing
    quantile_position: str = "official"
    normalization: str = "official"
    score_threshold: float = 0.01       # IoU from which a unit counts as interpretable
    top_n: int = 10                     # images shown for each unit
    categories: tuple[str, ...] = CATEGORIES
    image_size: tuple[int, int] | None = None  # (height, width) to encode at; None: as stored
    units: tuple[int, ...] | None = None       # 1-based units to dissect; None: all
    null: int = 20                      # chance pairings of images with the label maps of others
    seed: int = 1                       # of the visiting order, hence of the chance pairings
    batch_size: int = 128
    workers: int = 8                    # processes that decode; at most one a core
    memory: int | None = None           # bytes for feature maps and counts; moves no number; None: by device
    device: str = "auto"
    output: str | None = None           # folder of results and of the state of an unfinished run; None: no files

    def __post_init__(self) -> None:
        def check(good: bool, name: str, expected: str) -> None:
            if not good:
                raise input_error(name, str(getattr(self, name)), expected)

        check(0 < self.quantile < 1, "quantile", "a number between 0 and 1")
        check(self.quantile_position in ("official", "exact"), "quantile_position", "official or exact")
        check(self.normalization in ("official", "training"), "normalization", "official or training")
        check(math.isfinite(self.score_threshold) and self.score_threshold >= 0, "score_threshold", "at least 0")
        for name, low in (("top_n", 1), ("null", 0), ("batch_size", 1), ("workers", 0), ("seed", 0)):
            check(getattr(self, name) >= low, name, f"at least {low}")
        check(self.memory is None or self.memory >= 0, "memory", "at least 0")
        check(bool(self.categories), "categories", "at least one")
        check(self.units is None or (len(self.units) > 0 and min(self.units) >= 1), "units", "numbers from 1 up")
        check(self.null <= MOST_PAIRINGS, "null", f"at most {MOST_PAIRINGS}")
        check(self.image_size is None or (min(self.image_size) >= 1 and max(self.image_size) <= LARGEST_SIDE),
              "image_size", f"from 1 to {LARGEST_SIDE}")

    def memory_on(self, device: str) -> int:
        """Bytes for feature maps and counts on a kind of device: cpu or cuda."""
        default = GPU_MEMORY if device == "cuda" else CPU_MEMORY
        return default if self.memory is None else self.memory

    def numbers(self) -> dict[str, Any]:
        """The settings that can change a number of the tally, by name."""
        ours = ("quantile", "quantile_position", "normalization", "categories", "image_size", "units", "null", "seed",
                "batch_size", "top_n")
        return {name: value for name, value in dataclasses.asdict(self).items() if name in ours}
