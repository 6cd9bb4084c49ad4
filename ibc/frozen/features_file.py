"""The file that keeps features: an array (rows, h, w, D) of float16 in NumPy's own format, a row for each image.

It is written row after row into ``NAME.part``, which gets its name once it is whole. An interrupted command goes on
after the last whole row. A row of NaN stands for an image that could not be read. Rows are read with plain reads: a
mapped file would count as memory of the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ibc.errors import input_error

DTYPE = np.dtype("<f2")


def _header(shape: tuple[int, ...]) -> bytes:
    buffer = BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": DTYPE.str, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


class FeaturesWriter:
    """Writes the rows of a features file in their order; ``done`` rows are there already.

    path: of the whole file. shape: (rows, h, w, D).
    """

    def __init__(self, path: Path, shape: tuple[int, int, int, int]):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.part, self.shape = path, path.with_name(path.name + ".part"), shape
        self.row_bytes = int(np.prod(shape[1:])) * DTYPE.itemsize
        header = _header(shape)
        self.handle = open(self.part, "r+b" if self.part.exists() else "w+b")  # noqa: SIM115 - closed by __exit__
        size = os.fstat(self.handle.fileno()).st_size
        if self.handle.read(len(header)) != header:  # new, or torn in its first bytes
            self.handle.seek(0)
            self.handle.write(header)
            size = len(header)
        self.done = (size - len(header)) // self.row_bytes
        self.handle.truncate(len(header) + self.done * self.row_bytes)
        self.handle.seek(0, os.SEEK_END)

    def append(self, rows: np.ndarray) -> None:
        """Write (n, h, w, D) rows. Raises OSError, which names the file, where the disk is full."""
        try:
            self.handle.write(np.ascontiguousarray(rows, DTYPE).data)
            self.handle.flush()
        except OSError as error:
            error.filename = os.fspath(self.path)
            raise
        self.done += len(rows)

    def finish(self) -> None:
        """Give the file, which has all its rows, its name."""
        self.handle.flush()
        os.fsync(self.handle.fileno())
        os.replace(self.part, self.path)

    def __enter__(self) -> FeaturesWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with suppress(*([OSError] if kind else [])):  # what a full disk did not take is told already
            self.handle.close()


class FeaturesFile:
    """A whole features file. shape: (rows, h, w, D). Raises InputError for a file of another kind or length."""

    def __init__(self, path: Path):
        self.path = path
        self.handle = open(path, "rb", buffering=0)  # noqa: SIM115 - open as long as the batches are read
        try:
            version = np.lib.format.read_magic(self.handle)
            self.shape, order, dtype = np.lib.format.read_array_header_1_0(self.handle)
        except ValueError:
            version, order, dtype = (0, 0), True, DTYPE
        self.start = self.handle.tell()
        if version != (1, 0) or order or dtype != DTYPE or len(self.shape) != 4 or (
                os.path.getsize(path) != self.start + int(np.prod(self.shape)) * DTYPE.itemsize):
            raise input_error(path, "no whole file of kept features", "one", "delete it: it is made again")
        self.row_bytes = int(np.prod(self.shape[1:])) * DTYPE.itemsize

    def rows(self, numbers: Iterable[int]) -> Tensor:
        """(B, D, h, w) float16 features of these rows, channels last."""
        asked = list(numbers)
        rows = np.empty((len(asked), *self.shape[1:]), DTYPE)
        for row, number in zip(rows, asked, strict=True):
            self._read(row.reshape(-1).view(np.uint8).data, number)
        return torch.from_numpy(rows).permute(0, 3, 1, 2)

    def readable(self) -> np.ndarray:
        """(rows,) bool: False where the image could not be read."""
        first = np.empty((self.shape[0], 1), DTYPE)
        for row, number in zip(first, range(self.shape[0]), strict=True):
            self._read(row.view(np.uint8).data, number)
        return ~np.isnan(first[:, 0])

    def _read(self, target: memoryview, number: int) -> None:
        if os.preadv(self.handle.fileno(), [target], self.start + number * self.row_bytes) != len(target):
            raise input_error(self.path, "fewer bytes than before", "the file that was opened", "start again")
