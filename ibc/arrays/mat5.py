"""MATLAB's .mat files of versions 5, 6 and 7, read without trust in what they say of themselves.

Variables become what scipy.io.loadmat makes of them: arrays of numbers as they are stored, texts as arrays of strings,
cell arrays as object arrays, structures as structured arrays of objects; sparse matrices become full ones. scipy's own
reader crashes the process on files with a flipped bit; here every tag and size is checked, and nothing is read beyond
the part of the file that it lies in.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from ibc.arrays.limits import LEAST_BYTES, MemoryLimit
from ibc.errors import InputError, input_error

NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, OBJECT, CHAR, SPARSE = 1, 2, 3, 4, 5
NUMERIC = range(6, 16)  # double to uint64
KIND_NAMES = {16: "a function handle", 17: "an object, such as a string or a table"}
COMPLEX = 0x08
HEADER_BYTES = 128
HEAD_BYTES = 4096  # of a variable, in which its name stands
MOST_DIMENSIONS, MOST_NESTING = 32, 16


class _Words:
    """What stands at the head of a cell with one row of text, for one order of bytes."""

    def __init__(self, order: str):
        wide = {"<": "-le", ">": "-be"}[order]
        self.one, self.two = struct.Struct(f"{order}I"), struct.Struct(f"{order}II")
        self.matrix = self.one.pack(MATRIX)
        self.row_of_text = struct.pack(f"{order}7I", 6, 8, CHAR, 0, 5, 8, 1)  # flags; dimensions, the first of them
        self.no_name = self.two.pack(1, 0)
        self.encodings = {kind: name + wide * (name in ("utf-16", "utf-32")) for kind, name in TEXTS.items()}


_WORDS = {order: _Words(order) for order in "<>"}


def is_mat5(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return len(head) >= HEADER_BYTES and head[124:128] in (b"\x00\x01IM", b"\x01\x00MI")


def variables(file: BinaryIO, size: int, where: str | os.PathLike,
              limit: MemoryLimit) -> dict[str, Callable[[], np.ndarray]]:
    """Name -> function that reads the variable, of a file of ``size`` bytes.

    Raises InputError for a file with a damaged variable, and the functions where theirs is damaged or cannot be read.
    """
    file.seek(0)
    order = "<" if file.read(HEADER_BYTES)[126:128] == b"IM" else ">"
    found: dict[str, Callable[[], np.ndarray]] = {}
    place = HEADER_BYTES
    while place + 8 <= size:
        file.seek(place)
        kind, length = struct.unpack(f"{order}II", file.read(8))
        if kind not in (MATRIX, COMPRESSED) or length > size - place - 8:
            raise damage(where, f"a part of kind {kind} and {length} bytes at byte {place}")
        content = _Content(file, place + 8, length, kind == COMPRESSED, order, where, limit)
        found.setdefault(content.name(), content.read)
        place += 8 + length
    return found


class _Content:
    """One variable in the file, from ``start`` on."""

    def __init__(self, file: BinaryIO, start: int, length: int, compressed: bool, order: str, where: str | os.PathLike,
                 limit: MemoryLimit):
        self.file, self.start, self.length, self.compressed = file, start, length, compressed
        self.order, self.where, self.limit = order, where, limit

    def name(self) -> str:
        """The variable's name, from its first bytes."""
        self.file.seek(self.start)
        data = self.file.read(min(self.length, HEAD_BYTES))
        if self.compressed:
            data = self._inflate(zlib.decompressobj(), data, HEAD_BYTES)[8:]
        return _Matrix(data, self.order, self.where, self.limit).name

    def read(self) -> np.ndarray:
        """The variable."""
        self.file.seek(self.start)
        data = self.file.read(self.length)
        if self.compressed:
            inflate = zlib.decompressobj()
            head = self._inflate(inflate, data, 8)
            kind, length = struct.unpack(f"{self.order}II", head) if len(head) == 8 else (0, 0)
            if kind != MATRIX:
                raise damage(self.where, f"a compressed part of kind {kind}")
            self.limit.take(length, "a variable")
            data = self._inflate(inflate, inflate.unconsumed_tail, max(length, 1))
            rest = self._inflate(inflate, inflate.unconsumed_tail, 1)  # the check sum comes last
            if len(data) != length or rest or not inflate.eof:
                raise damage(self.where, f"a compressed variable that is not of {length} bytes")
        return _Matrix(data, self.order, self.where, self.limit).value()

    def _inflate(self, inflate: zlib._Decompress, data: bytes, most: int) -> bytes:
        try:
            return inflate.decompress(data, most)
        except zlib.error as error:
            raise damage(self.where, f"a compressed variable that is damaged ({error})") from None


class _Matrix:
    """One matrix element: a variable, a cell or a field."""

    def __init__(self, data: bytes | memoryview, order: str, where: str | os.PathLike, limit: MemoryLimit,
                 nesting: int = 0):
        self.data, self.place = memoryview(data), 0
        self.order, self.where, self.limit, self.nesting = order, where, limit, nesting
        if nesting > MOST_NESTING:
            raise damage(where, f"cells in cells {nesting} deep")
        flags = self._numbers("flags", (6,))
        if len(flags) != 2:
            raise damage(where, f"flags of {4 * len(flags)} bytes")
        self.kind, self.is_complex = int(flags[0]) & 0xFF, bool(int(flags[0]) >> 8 & COMPLEX)
        self.shape: tuple[int, ...] = ()
        if self.kind not in KIND_NAMES or self.kind == 16:
            self.shape = tuple(self._numbers("dimensions", (5, 6)).tolist())
            if not 2 <= len(self.shape) <= MOST_DIMENSIONS or min(self.shape) < 0:
                raise damage(where, f"the dimensions {self.shape[:MOST_DIMENSIONS]}")
        self.name = bytes(self._element("a name", (1, 2, 16))[1]).decode("latin-1").rstrip("\0")

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def value(self) -> np.ndarray:
        """The content, after the name."""
        if self.kind in NUMERIC:
            real = self._values("real")
            values = real + 1j * self._values("imaginary") if self.is_complex else real
            return values.reshape(self.shape, order="F")
        if self.kind == CHAR:
            return self._text()
        if self.kind == CELL:
            return self._children(self.count).reshape(self.shape, order="F")
        if self.kind in (STRUCT, OBJECT):
            return self._struct()
        if self.kind == SPARSE:
            return self._sparse()
        name = KIND_NAMES.get(self.kind, f"of the unknown class {self.kind}")
        raise input_error(self.where, f"variable '{self.name}' that is {name}", "numbers or text",
                          "store it as a matrix, or as a cell array of texts (cellstr)")

    def _element(self, what: str, kinds: tuple[int, ...] | None = None) -> tuple[int, memoryview]:
        """Kind and content of the next element. what: for messages. kinds: those that may come."""
        if len(self.data) - self.place < 8:
            raise damage(self.where, f"variable '{getattr(self, 'name', '')}' that ends before {what}")
        first, second = struct.unpack_from(f"{self.order}II", self.data, self.place)
        if first >> 16:  # a small element: kind and size share a word, up to four bytes follow
            kind, size, begin = first & 0xFFFF, first >> 16, self.place + 4
            after = self.place + 8
        else:
            kind, size, begin = first, second, self.place + 8
            after = begin + size + (-size % 8 if kind != COMPRESSED else 0)
        if (first >> 16 and size > 4) or size > len(self.data) - begin or (kinds is not None and kind not in kinds):
            raise damage(self.where, f"{what} of kind {kind} and {size} bytes, with {len(self.data) - begin} left")
        self.place = min(after, len(self.data))
        return kind, self.data[begin : begin + size]

    def _numbers(self, what: str, kinds: tuple[int, ...]) -> np.ndarray:
        kind, data = self._element(what, kinds)
        dtype = np.dtype(f"{self.order}{NUMBERS[kind]}")
        if len(data) % dtype.itemsize:
            raise damage(self.where, f"{what} of {len(data)} bytes")
        return np.frombuffer(data, dtype)

    def _values(self, what: str) -> np.ndarray:
        values = self._numbers(f"the {what} part", tuple(NUMBERS))
        if len(values) != self.count:
            raise damage(self.where, f"{len(values)} numbers for the shape {self.shape}")
        self.limit.take(self.count * max(LEAST_BYTES - values.itemsize, 0), f"'{self.name}'")  # what it will grow by
        return values

    def _text(self) -> np.ndarray:
        if not self.count:
            empty = self.shape[:-1] if self.shape[0] else (0,)
            self.limit.take(4 * math.prod(empty), f"'{self.name}'")
            return np.empty(empty, "U1")
        kind, data = self._element("text", tuple(TEXTS))
        text = bytes(data).decode(_WORDS[self.order].encodings[kind], "surrogatepass" if kind == 4 else "replace")
        if self.count == self.shape[-1]:  # one row, whose characters beyond the first 65536 may count twice
            return np.full(self.shape[:-1], text.rstrip("\0"), object).astype(np.str_)
        if len(text) != self.count:
            raise damage(self.where, f"{len(text)} characters for the shape {self.shape}")
        characters = np.array(list(text), "U1").reshape(self.shape, order="F")
        rows = np.ascontiguousarray(characters).reshape(-1, self.shape[-1])
        return np.array(["".join(row) for row in rows], np.str_).reshape(self.shape[:-1])

    def _children(self, count: int) -> np.ndarray:
        """(count,) object array of the matrices that follow."""
        if count * 8 > len(self.data) - self.place:
            raise damage(self.where, f"{count} cells or fields in {len(self.data) - self.place} bytes")
        values = np.empty(count, object)
        for number in range(count):
            text = self._plain_text()
            if text is not None:
                values[number] = np.array([text])
                continue
            _, data = self._element("a cell", (MATRIX,))
            values[number] = np.empty((0, 0)) if not len(data) else _Matrix(
                data, self.order, self.where, self.limit, self.nesting + 1).value()
        return values

    def _plain_text(self) -> str | None:
        """The next cell where it is one row of text, as nearly all are; None, and no step taken, for any other.

        The same as the long way, at a fifth of its time: a list may hold 100,000 names.
        """
        begin, words = self.place, _WORDS[self.order]
        head = bytes(self.data[begin : begin + 56])
        if len(head) < 56 or head[8:36] != words.row_of_text or head[40:48] != words.no_name:
            return None
        (size,), (columns,) = words.one.unpack_from(head, 4), words.one.unpack_from(head, 36)
        kind, length = words.two.unpack_from(head, 48)
        start, end = begin + 56, begin + 8 + size
        if kind >> 16:
            kind, length, start = kind & 0xFFFF, kind >> 16, begin + 52
            end = min(end, start + 4)
        if head[:4] != words.matrix or kind not in TEXTS or length > end - start or size % 8 or (
                begin + 8 + size > len(self.data)):
            return None
        text = bytes(self.data[start : start + length]).decode(words.encodings[kind], "replace")
        if len(text) != columns or not columns or "\ufffd" in text:
            return None
        self.place = begin + 8 + size
        return text.rstrip("\0")

    def _struct(self) -> np.ndarray:
        if self.kind == OBJECT:
            self._element("the class name", (1,))
        lengths = self._numbers("the length of names", (5,))
        _, data = self._element("field names", (1,))
        length = int(lengths[0]) if len(lengths) == 1 else 0
        if length < 1 or len(data) % length:
            raise damage(self.where, f"{len(data)} bytes of field names of length {length}")
        names = [bytes(data[start : start + length]).split(b"\0")[0].decode("latin-1")
                 for start in range(0, len(data), length)]
        if "" in names or len(set(names)) < len(names):
            raise damage(self.where, f"the field names {names[:8]}")
        self.limit.take(8 * self.count * max(len(names), 1), "a structure")
        values = np.empty(self.shape, [(name, object) for name in names]) if names else np.empty(self.shape, object)
        children = self._children(self.count * len(names)).reshape(self.count, len(names))
        for number, name in enumerate(names):
            values[name] = children[:, number].reshape(self.shape, order="F")
        return values

    def _sparse(self) -> np.ndarray:
        rows = self._numbers("rows of a sparse matrix", (5, 6))
        starts = self._numbers("columns of a sparse matrix", (5, 6))
        values = self._numbers("values of a sparse matrix", tuple(NUMBERS))
        if self.is_complex:
            values = values + 1j * self._numbers("imaginary values", tuple(NUMBERS))[: len(values)]
        if len(self.shape) != 2:
            raise damage(self.where, f"a sparse matrix of shape {self.shape}")
        return full_matrix((self.shape[0], self.shape[1]), rows, starts, values, self.where, self.limit)


def full_matrix(shape: tuple[int, int], rows: np.ndarray, starts: np.ndarray, values: np.ndarray,
                where: str | os.PathLike, limit: MemoryLimit) -> np.ndarray:
    """A sparse matrix as a full one: column c has ``values[starts[c] : starts[c + 1]]`` in these ``rows``.

    Raises InputError for numbers that do not fit to the shape.
    """
    places = starts.astype(np.int64)
    if len(places) != shape[1] + 1 or places[0] != 0 or (np.diff(places) < 0).any():
        raise damage(where, f"a sparse matrix of shape {shape} whose columns are out of order")
    count = int(places[-1])
    used = rows[:count].astype(np.int64)
    if len(used) != count or len(values) < count or (count and not 0 <= used.min() <= used.max() < shape[0]):
        raise damage(where, f"a sparse matrix of shape {shape} with {count} entries that do not fit")
    limit.take_numbers(shape[0] * shape[1], values.dtype.itemsize, "a sparse matrix")
    full = np.zeros(shape, values.dtype)
    np.add.at(full, (used, np.repeat(np.arange(shape[1]), np.diff(places))), values[:count])
    return full


def damage(where: str | os.PathLike, what: str) -> InputError:
    """The error for a damaged file, to be raised."""
    return input_error(where, f"a damaged .mat file ({what})", "a whole one", "write it again")
