"""What ``ibc dissect`` takes where a flag is not given: the library's defaults, or an official settings file.

``netdissect_lite/settings.py`` is such a file: a Python module with official upper-case names, which people edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ibc.dissection.settings import IMAGENET, DissectionSettings
from ibc.errors import input_error

# Official names of a settings file, and the types of their values.
KNOWN: dict[str, tuple[type, ...]] = {
    "GPU": (bool, int), "TEST_MODE": (bool, int), "MODEL": (str,), "CUSTOM": (bool, int), "QUANTILE": (int, float),
    "SCORE_THRESHOLD": (int, float), "TOPN": (int,), "CATAGORIES": (list, tuple), "OUTPUT_FOLDER": (str,),
    "DATA_DIRECTORY": (str,), "IMG_SIZE": (int, type(None)), "FEATURE_NAMES": (list, tuple),
    "MODEL_FILE": (str, type(None)), "WORKERS": (int,), "BATCH_SIZE": (int,), "INDEX_FILE": (str,)}
# Official names that have no meaning here; accepted, so that an old settings file still works.
UNUSED = ("PARALLEL", "TALLY_BATCH_SIZE", "TALLY_AHEAD", "CLEAN", "CODE_LEN", "NUM_CLASSES", "DATASET",
          "MODEL_PARALLEL", "SEG_THRESHOLD")


@dataclass(frozen=True)
class DissectDefaults:
    """What is taken where a flag is not given.

    settings: how to dissect. results: a model called NAME goes to the folder ``results/NAME``.
    model_name: of the results. output: their folder. Either ``checkpoint`` (IBC) or ``network`` (torchvision, with
    ``layers`` and ``weights``) names the model to dissect; without both a flag has to.
    settings_file: where these values come from, None: from the library.
    """

    settings: DissectionSettings = DissectionSettings()
    results: Path = Path("dissection")
    broden: Path | None = None
    index_file: str = "index.csv"
    checkpoint: Path | None = None
    network: str | None = None
    layers: tuple[str, ...] = ()
    weights: str | None = None
    model_name: str | None = None
    output: Path | None = None
    settings_file: Path | None = None


LIBRARY_DEFAULTS = DissectDefaults()


def read_settings_file(module: ModuleType) -> DissectDefaults:
    """The values of a settings file, an imported module. Relative paths in it start at its folder.

    Raises InputError on a name too many, a name too few, or a value of a wrong type.
    """
    values = _checked(module)
    file = Path(module.__file__ or "settings.py")
    folder, side, weights = file.parent, values["IMG_SIZE"], values["MODEL_FILE"]
    settings = DissectionSettings(
        quantile=values["QUANTILE"], score_threshold=values["SCORE_THRESHOLD"], top_n=values["TOPN"],
        categories=tuple(dict.fromkeys(name.strip() for name in values["CATAGORIES"] if name.strip())),
        image_size=None if side is None else (side, side), batch_size=values["BATCH_SIZE"], workers=values["WORKERS"],
        device="auto" if values["GPU"] else "cpu")
    common: dict[str, Any] = {
        "settings": settings, "results": folder / "result", "broden": folder / values["DATA_DIRECTORY"],
        "index_file": values["INDEX_FILE"], "output": folder / values["OUTPUT_FOLDER"], "settings_file": file,
        "model_name": values["MODEL"]}
    if values["CUSTOM"]:
        return DissectDefaults(checkpoint=None if weights is None else folder / weights, **common)
    return DissectDefaults(network=values["MODEL"], layers=tuple(values["FEATURE_NAMES"]), **common,
                           weights=weights if weights in (None, "", IMAGENET) else str(folder / weights))


def _checked(module: ModuleType) -> dict[str, Any]:
    """The upper-case values of a module, each known and of its type."""
    where = getattr(module, "__file__", "settings.py")
    values = {name: value for name, value in vars(module).items() if name.isupper()}
    for name in values:
        if name not in KNOWN and name not in UNUSED:
            raise input_error(where, f"the setting {name}", f"one of {', '.join(KNOWN)}")
    for name, kinds in KNOWN.items():
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
