"""Settings of a dissection: what ``settings.py`` and the flags of the command set, checked once.

``Settings`` is what the library takes; ``from_module`` reads the official upper-case names.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ibc.data.broden.dataset import CATEGORIES
from ibc.errors import input_error

MEGABYTE = 2**20
CPU_MEMORY, GPU_MEMORY = 384 * MEGABYTE, 8192 * MEGABYTE  # for feature maps and tables of counts
# Official names that nothing here needs any more; accepted, so that an old settings.py still works.
UNUSED = ("PARALLEL", "TALLY_BATCH_SIZE", "TALLY_AHEAD", "CLEAN", "CODE_LEN", "NUM_CLASSES", "DATASET",
          "MODEL_PARALLEL", "SEG_THRESHOLD")
MOST_UNITS = 10**6
MOST_PAIRINGS = 10_000
LARGEST_SIDE = 10_000  # pixels


@dataclass(frozen=True)
class Settings:
    """How to dissect.

    Where the official tool and the stated intent differ, the official behaviour is the default:

    * ``normalization``: ``official`` subtracts (123.68, 116.779, 103.939) and divides all channels by
      57.12; ``training`` is what the networks were trained with (``ibc.data.augment.normalise``).
    * ``quantile_position``: ``official`` takes the 994/999 quantile where q = 0.005 says 0.995;
      ``exact`` takes 1 - q.

    The category presence that the official tool carries over from unit to unit, where an image has
    no label map, is a fault without a purpose, and is not reproduced.
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
    output: str | None = None           # folder of results and of what a continued run needs; None: neither

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

    def numbers(self) -> dict[str, Any]:
        """Those settings that can move a number of the tally."""
        ours = ("quantile", "quantile_position", "normalization", "categories", "image_size", "units", "null", "seed",
                "batch_size", "top_n")
        return {name: value for name, value in dataclasses.asdict(self).items() if name in ours}


def from_module(module: ModuleType) -> dict[str, Any]:
    """The upper-case values of a settings module. Raises InputError on a name too many, too few, or a wrong type."""
    known: dict[str, tuple[type, ...]] = {
        "GPU": (bool, int), "TEST_MODE": (bool, int), "MODEL": (str,), "CUSTOM": (bool, int), "QUANTILE": (int, float),
        "SCORE_THRESHOLD": (int, float), "TOPN": (int,), "CATAGORIES": (list, tuple), "OUTPUT_FOLDER": (str,),
        "DATA_DIRECTORY": (str,), "IMG_SIZE": (int, type(None)), "FEATURE_NAMES": (list, tuple),
        "MODEL_FILE": (str, type(None)), "WORKERS": (int,), "BATCH_SIZE": (int,), "INDEX_FILE": (str,)}
    where = getattr(module, "__file__", "settings.py")
    values = {name: value for name, value in vars(module).items() if name.isupper()}
    for name in values:
        if name not in known and name not in UNUSED:
            raise input_error(where, f"the setting {name}", f"one of {', '.join(known)}")
    for name, kinds in known.items():
        if name not in values:
            raise input_error(where, f"no setting {name}", f"{name} = ...",
                              "take the line from the original settings.py")
        if not isinstance(values[name], kinds):
            expected = " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)
            raise input_error(where, f"{name} = {values[name]!r}", f"a value of type {expected}")
    for name in ("CATAGORIES", "FEATURE_NAMES"):
        if not all(isinstance(item, str) for item in values[name]):
            raise input_error(where, f"{name} = {values[name]!r}", "a list of texts")
    return values


def memory_size(text: str) -> int:
    """"512M", "2G" or a number of bytes."""
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    scale = units.get(text[-1:].upper(), 1)
    try:
        value = float(text[:-1] if scale > 1 else text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise input_error("--memory", f"'{text}'", "a size such as 512M or 2G")
    return int(value * scale)


def number_ranges(text: str, flag: str) -> tuple[int, ...]:
    """"1-16,40" as sorted numbers."""
    numbers: set[int] = set()
    for part in text.split(","):
        low, _, high = part.strip().partition("-")
        try:
            first, last = int(low), int(high or low)
        except ValueError:
            raise input_error(flag, f"'{part}'", "numbers and ranges, such as 1-16,40") from None
        if not 1 <= first <= last <= MOST_UNITS:
            raise input_error(flag, f"'{part}'", f"numbers from 1 to {MOST_UNITS:,}, the smaller one first")
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))


