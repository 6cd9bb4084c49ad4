"""Arrays in HDF5 files: MATLAB's v7.3, Octave's ``save -hdf5``, and plain files that h5py wrote.

MATLAB and Octave store columns, so that h5py sees their matrices transposed; here they stand upright. A file may name
other files to be read as its own content; nothing but the file itself is read.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from ibc.arrays.limits import MemoryLimit
from ibc.arrays.mat5 import damage, full_matrix
from ibc.errors import InputError, input_error

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MATLAB_HEADER_BYTES = 512
MOST_ATTRIBUTE_BYTES = 4096
MOST_NESTING = 16
MOST_DEFLATE = 1032  # times its size that compressed data can become
TEXTS_AT_ONCE = 256
# What h5py raises for damaged files:
_FAILURES = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError)
Reader = Callable[[bool], np.ndarray]


def is_hdf5(head: bytes) -> bool:
    """Whether a file with these first 1024 bytes is of this format: it begins, or goes on after a header, as HDF5."""
    return any(head[start : start + 8] == SIGNATURE for start in (0, MATLAB_HEADER_BYTES))


@contextlib.contextmanager
def open_variables(path: str | os.PathLike, limit: MemoryLimit) -> Iterator[dict[str, Reader]]:
    """Name -> function that reads the variable, while the file is open; its argument says whether it holds texts.

    Raises InputError where h5py is not installed or the file is damaged, and the functions for what they cannot read.
    """
    h5py = load_h5py(path)
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(h5py.File(path, "r", locking=False))
            reader = _Hdf5(h5py, file, path, limit, file.userblock_size >= MATLAB_HEADER_BYTES)
            names = [name for name in file if isinstance(name, str)]
        except (FileNotFoundError, PermissionError, IsADirectoryError):
            raise
        except _FAILURES as error:
            raise damage(path, f"HDF5 says: {error}") from None
        yield {name: functools.partial(reader.read, name) for name in names}


class _Hdf5:
    """Reads variables of one open file."""

    def __init__(self, h5py: ModuleType, file: Any, where: str | os.PathLike, limit: MemoryLimit, has_header: bool):
        self.h5py, self.file, self.where, self.limit, self.has_header = h5py, file, where, limit, has_header

    def read(self, name: str, is_text: bool) -> np.ndarray:
        """The variable ``name``, upright."""
        try:
            item = self._member(self.file, name)
            if "OCTAVE_NEW_FORMAT" in item.attrs:
                return self._octave(item, name)
            if isinstance(item, self.h5py.Group):
                return self._matlab_sparse(item, name)
            return self._matlab(item, name, is_text)
        except InputError:
            raise
        except _FAILURES as error:
            raise damage(self.where, f"'{name}', HDF5 says: {error}") from None

    def _member(self, group: Any, name: str) -> Any:
        """A member that stands in the file itself. Raises InputError for a link to anywhere, KeyError for none."""
        if not isinstance(group.get(name, getlink=True), self.h5py.HardLink):
            raise input_error(self.where, f"'{name}' that is a link to another place or file", "the array itself",
                              "store it in the file")
        return group[name]

    def _array(self, dataset: Any, name: str) -> np.ndarray:
        """The numbers of a dataset, as h5py sees them."""
        if not isinstance(dataset, self.h5py.Dataset):
            raise input_error(self.where, f"'{name}' that is a group", "a matrix")
        plan = dataset.id.get_create_plist()
        if plan.get_external_count() or plan.get_layout() == self.h5py.h5d.VIRTUAL:
            raise input_error(self.where, f"'{name}' whose numbers are in another file", "the array itself",
                              "store it in the file")
        if dataset.dtype.kind not in "buifSOV" or dataset.shape is None:
            raise input_error(self.where, f"'{name}' of type {dataset.dtype}", "numbers or texts")
        if dataset.dtype.kind == "V" and dataset.dtype.names != ("real", "imag"):
            raise input_error(self.where, f"'{name}' of type {str(dataset.dtype)[:80]}", "numbers or texts")
        self.limit.take_numbers(dataset.size, dataset.dtype.itemsize, f"'{name}'")
        if dataset.chunks is not None:
            self._check_chunks(dataset, name, plan)
        if self.h5py.check_string_dtype(dataset.dtype) is not None and dataset.dtype.kind == "O":
            return self._texts(dataset, name)
        if dataset.dtype.kind == "O" and not self._is_cells(dataset):
            raise input_error(self.where, f"'{name}' with rows of several lengths", "a matrix")
        return np.asarray(dataset[()])

    def _check_chunks(self, dataset: Any, name: str, plan: Any) -> None:
        """Raises InputError for chunks that would fill the memory: HDF5 makes room for all that comes out of one."""
        size = math.prod(dataset.chunks) * dataset.dtype.itemsize
        self.limit.take(size, f"a chunk of '{name}'")
        filters = [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]
        large: list[tuple[int, ...]] = []
        if filters:
            most = self.limit.most // MOST_DEFLATE
            dataset.id.chunk_iter(lambda chunk: large.append(chunk.chunk_offset) if chunk.size > most else None)
        for offset in large:
            _, data = dataset.id.read_direct_chunk(offset)
            if filters[-1] != self.h5py.h5z.FILTER_DEFLATE or len(_inflated(data, size + 1)) > size:
                raise damage(self.where, f"'{name}' with a compressed chunk of {len(data)} bytes for {size}")

    def _is_cells(self, dataset: Any) -> bool:
        """Whether a dataset refers to others, as MATLAB's cell arrays do."""
        return self.h5py.check_ref_dtype(dataset.dtype) is self.h5py.Reference

    def _texts(self, dataset: Any, name: str) -> np.ndarray:
        """Texts of any length: a small file may hold one long text many times, so they are counted as they come."""
        if dataset.size <= 1:
            dataset = np.array([dataset[()]], object).reshape(-1) if dataset.size else []
        elif dataset.ndim > 1:
            raise input_error(self.where, f"'{name}', texts of shape {dataset.shape}", "one text an image")
        found: list[str] = []
        for start in range(0, len(dataset), TEXTS_AT_ONCE):
            for item in dataset[start : start + TEXTS_AT_ONCE]:
                self.limit.take(len(item), f"'{name}'")
                found.append(item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else str(item))
        return np.array(found, object)

    def _attribute(self, item: Any, name: str) -> Any:
        """A small attribute; None where there is none."""
        if name not in item.attrs or item.attrs.get_id(name).get_storage_size() > MOST_ATTRIBUTE_BYTES:
            return None
        return item.attrs[name]

    def _matlab(self, dataset: Any, name: str, is_text: bool) -> np.ndarray:
        kind = self._attribute(dataset, "MATLAB_class")
        upright = self.has_header or kind is not None
        if self._attribute(dataset, "MATLAB_object_decode") == 3:
            raise input_error(self.where, f"'{name}' that is an object, such as a string or a table",
                              "numbers, or a cell array of texts", "store it by cellstr")
        value = self._array(dataset, name)
        if value.dtype.names:
            value = value["real"] + 1j * value["imag"]
        if self._attribute(dataset, "MATLAB_empty"):
            shape = tuple(int(side) for side in value.reshape(-1)[:8])
            return np.empty(shape if len(shape) > 1 and 0 in shape else (0, 0))
        if self._is_cells(dataset):
            cells = [self._cell(reference, name) for reference in (value.T if upright else value).reshape(-1)]
            return np.array(cells, object)
        if value.dtype.kind == "S":
            return np.array([text.decode("utf-8", "surrogateescape") for text in value.reshape(-1)], object)
        if value.dtype.kind == "O":
            return value
        value = value.T if upright else value
        if (is_text or kind in (b"char", "char")) and value.dtype.kind in "ui":  # a row of characters a text
            rows = np.atleast_2d(value).astype("<u2")
            return np.array([row.tobytes().decode("utf-16-le", "surrogatepass").rstrip() for row in rows], object)
        return value

    def _cell(self, reference: Any, name: str) -> Any:
        """The text of a cell, or its number."""
        item = self.file[reference]
        value = self._array(item, f"a cell of {name}")
        if self._attribute(item, "MATLAB_empty"):
            return ""
        if self._attribute(item, "MATLAB_class") not in (None, "char", b"char") and value.size == 1:
            return value.reshape(-1)[0]
        if value.dtype.kind not in "ui":
            raise input_error(self.where, f"'{name}' with cells that are no texts", "a cell array of texts")
        return value.reshape(-1).astype("<u2").tobytes().decode("utf-16-le", "surrogatepass")

    def _matlab_sparse(self, group: Any, name: str) -> np.ndarray:
        rows = self._attribute(group, "MATLAB_sparse")
        if rows is None:
            raise input_error(self.where, f"'{name}' that is a structure or a group", "a matrix")
        starts = self._array(self._member(group, "jc"), name).reshape(-1)
        if "data" not in group:
            used, values = np.zeros(0, np.int64), np.zeros(0)
        else:
            used, values = (self._array(self._member(group, part), name).reshape(-1) for part in ("ir", "data"))
        shape = int(np.asarray(rows).reshape(-1)[0]), len(starts) - 1
        return full_matrix(shape, used, starts, values, self.where, self.limit)

    def _octave(self, group: Any, name: str, nesting: int = 0) -> np.ndarray:
        """A variable as Octave stores it: a group with its type and its value."""
        if nesting > MOST_NESTING:
            raise damage(self.where, f"cells in cells {nesting} deep")
        kind = self._array(self._member(group, "type"), name).reshape(-1)[0]
        kind = kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)
        value = self._member(group, "value")
        if kind == "sparse matrix":
            parts = {part: self._array(self._member(value, part), name).reshape(-1)
                     for part in ("nr", "nc", "cidx", "ridx", "data")}
            return full_matrix((int(parts["nr"][0]), int(parts["nc"][0])), parts["ridx"], parts["cidx"], parts["data"],
                               self.where, self.limit)
        if kind == "cell":
            order = sorted((cell for cell in value if cell[:1] == "_" and cell[1:].isdecimal()),
                           key=lambda cell: int(cell[1:]))
            cells = [self._octave(self._member(value, cell), name, nesting + 1) for cell in order]
            return np.array([str(cell.reshape(-1)[0]) if cell.size else "" for cell in cells], object)
        if isinstance(value, self.h5py.Group) or kind.endswith(("struct", "map", "object", "handle")):
            raise input_error(self.where, f"'{name}', {kind} of Octave", "a matrix")
        content = self._array(value, name)
        if self._attribute(value, "OCTAVE_EMPTY_MATRIX") is not None or "OCTAVE_EMPTY_MATRIX" in group.attrs:
            return np.empty((0, 0))
        if "string" in kind:
            if content.dtype.kind in "SO":
                return np.array([text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text
                                 for text in content.reshape(-1)], object)
            return np.array([bytes(row).decode("utf-8", "surrogateescape") for row in
                             np.atleast_2d(content.T).astype(np.uint8)], object)
        if content.dtype.names:
            raise input_error(self.where, f"'{name}', {kind} of Octave", "a matrix of numbers",
                              "save it as a full, real matrix")
        return content.T


def _inflated(data: bytes, most: int) -> bytes:
    """At most ``most`` bytes of what a compressed chunk holds; none where it is damaged."""
    try:
        return zlib.decompressobj().decompress(data, most)
    except zlib.error:
        return b""


def load_h5py(path: str | os.PathLike) -> ModuleType:
    """The module. Raises InputError, which names the file, where it is not installed."""
    try:
        import h5py  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise input_error(path, "a MATLAB v7.3 file, and h5py is not installed", "h5py to read it",
                          "run: pip install h5py") from None
    return h5py
