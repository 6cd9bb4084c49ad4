"""MATLAB's .mat files of version 4: matrices of numbers and of characters, each behind a header of 20 bytes."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from ibc.arrays.limits import MemoryLimit
from ibc.arrays.mat5 import damage, full_matrix

TYPES = {0: "f8", 1: "f4", 2: "i4", 3: "i2", 4: "u2", 5: "u1"}
TEXT, SPARSE = 1, 2
MOST_NAME = 256


def is_mat4(head: bytes, size: int) -> bool:
    """Whether a file of ``size`` bytes that begins so is of this format, which has no mark: its first header fits."""
    return _header(head, size) is not None


def variables(file: BinaryIO, size: int, where: str | os.PathLike,
              limit: MemoryLimit) -> dict[str, Callable[[], np.ndarray]]:
    """Name -> function that reads the variable. Raises InputError for a damaged file."""
    found: dict[str, Callable[[], np.ndarray]] = {}
    place = 0
    while place < size:
        file.seek(place)
        header = _header(file.read(20), size - place)
        if header is None:
            raise damage(where, f"no header of a variable at byte {place}")
        _, kind, dtype, shape, is_complex, name_bytes, length = header
        name = file.read(name_bytes).split(b"\0")[0].decode("latin-1")
        start = place + 20 + name_bytes

        def read(start: int = start, length: int = length, kind: int = kind, shape: tuple[int, int] = shape,
                 dtype: str = dtype, is_complex: bool = is_complex) -> np.ndarray:
            file.seek(start)
            values = np.frombuffer(file.read(length), dtype)
            if is_complex:
                values = values[: len(values) // 2] + 1j * values[len(values) // 2 :]
            matrix = values.reshape(shape, order="F")
            if kind == TEXT:
                return np.array(["".join(map(chr, row)) for row in matrix.astype(np.uint8)], np.str_)
            return _full(matrix, where, limit) if kind == SPARSE else matrix

        found.setdefault(name, read)
        place = start + length
    return found


def _header(head: bytes, left: int) -> tuple[str, int, str, tuple[int, int], bool, int, int] | None:
    """(order, kind, dtype, shape, is complex, bytes of the name, bytes of the numbers); None where nothing fits."""
    if len(head) < 20:
        return None
    for order in "<>":
        code, rows, columns, is_complex, name_bytes = struct.unpack(f"{order}5i", head[:20])
        machine, number, kind = code // 1000, code // 10 % 10, code % 10
        if not (0 <= code < 2000 and machine == "<>".index(order) and code // 100 % 10 == 0 and number in TYPES
                and kind <= SPARSE and rows >= 0 and columns >= 0 and is_complex in (0, 1)
                and 0 < name_bytes <= MOST_NAME):
            continue
        dtype = f"{order}{TYPES[number]}"
        length = rows * columns * np.dtype(dtype).itemsize * (1 + is_complex)
        if length <= left - 20 - name_bytes:
            return order, kind, dtype, (rows, columns), bool(is_complex), name_bytes, length
    return None


def _full(triples: np.ndarray, where: str | os.PathLike, limit: MemoryLimit) -> np.ndarray:
    """A sparse matrix, stored as rows (row, column, value) from 1 and a last row with its shape."""
    whole = triples.real
    if whole.shape[1] < 3 or not len(whole) or not (np.isfinite(whole[:, :2]).all() and (whole[-1, :2] >= 0).all()):
        raise damage(where, "a sparse matrix without its shape")
    shape = int(min(whole[-1, 0], 2**40)), int(min(whole[-1, 1], 2**40))
    rows, columns = whole[:-1, 0], whole[:-1, 1]
    inside = (rows >= 1) & (rows <= shape[0]) & (columns >= 1) & (columns <= shape[1])
    if not inside.all():
        raise damage(where, f"a sparse matrix of shape {shape} with an entry outside")
    limit.take(shape[1] * 8, "a sparse matrix")
    order = np.argsort(columns, kind="stable")
    starts = np.searchsorted(columns[order], np.arange(1, shape[1] + 2), side="left")
    return full_matrix(shape, rows[order] - 1, starts, whole[:-1, 2][order], where, limit)
