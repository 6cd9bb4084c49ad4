"""The data sets of ``ibc prepare``: one file each, named as the data set, which defines ``DATA_SET``.

A new data set is a new file here: its flags, its options, its example and its plan (``caltech101`` is a short one to
start from). ``ibc prepare --help`` imports every file, so what is slow to import (Pillow, scipy, torch) is imported by
the functions that need it.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from ibc.datasets.data_set import DataSet


def data_sets() -> dict[str, DataSet[Any]]:
    """Every data set by its name, in the order of the names."""
    names = sorted(module.name for module in iter_modules(__path__))
    return {name: import_module(f"{__name__}.{name}").DATA_SET for name in names}
