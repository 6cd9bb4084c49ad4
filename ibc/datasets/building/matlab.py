"""MATLAB files as data sets publish them: variables by name, cell arrays of text as lists."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np

from ibc.arrays import hdf5, mat5
from ibc.arrays.limits import MemoryLimit
from ibc.errors import input_error


def load_mat(data: str | os.PathLike | bytes, where: str | os.PathLike, names: tuple[str, ...]) -> dict[str, Any]:
    """The variables ``names`` of a v5 .mat file (a path, or its bytes).

    Raises InputError, which names the file as ``where``, for what cannot be read and for a missing variable.
    """
    try:
        with io.BytesIO(data) if isinstance(data, bytes) else open(data, "rb") as file:
            head = file.read(1024)
            size = file.seek(0, os.SEEK_END)
            if hdf5.is_hdf5(head):
                raise input_error(where, "a v7.3 .mat file", "a v5 one, as published", "save it with -v7")
            if not mat5.is_mat5(head):
                raise input_error(where, f"a file that is no readable .mat (it begins with {head[:8]!r})",
                                  "a MATLAB v5 file")
            content = mat5.variables(file, size, where, MemoryLimit(where, size))
            if missing := [name for name in names if name not in content]:
                raise input_error(where, f"no variable '{missing[0]}'", f"the variables {', '.join(names)}")
            return {name: content[name]() for name in names}
    except FileNotFoundError:
        raise input_error(where, "no such file", "a .mat file") from None


def strings(cells: np.ndarray, where: str | os.PathLike | None = None) -> list[str]:
    """A cell array of texts (or a char matrix, one text a row) as a list. Raises InputError for anything else."""
    found = []
    for place, cell in enumerate(np.asarray(cells).ravel().tolist(), start=1):
        parts = np.atleast_1d(cell).ravel().tolist()
        if not all(isinstance(part, str) for part in parts):
            raise input_error(where, f"no text in cell {place}", "a cell array of texts")
        found.append("".join(parts).strip())
    return found


def numbers(values: np.ndarray, where: str | os.PathLike, name: str) -> np.ndarray:
    """The variable ``name`` as float64. Raises InputError where it does not hold numbers."""
    if values.dtype.kind not in "biuf":
        raise input_error(where, f"'{name}' without numbers", "a matrix of numbers")
    return values.astype(np.float64)


def whole_numbers(values: np.ndarray, where: str | os.PathLike, name: str, low: int, high: int) -> np.ndarray:
    """The variable ``name`` as int64 from ``low`` to ``high``. Raises InputError for other values."""
    found = numbers(values, where, name)
    if found.size and not ((found >= low) & (found <= high) & (found == np.floor(found))).all():
        raise input_error(where, f"values of '{name}' that are not", f"whole numbers from {low} to {high}")
    return found.astype(np.int64)
