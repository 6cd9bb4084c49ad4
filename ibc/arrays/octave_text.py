"""Octave's own text format, which a plain ``save FILE`` writes: matrices, numbers, texts and cell arrays of texts."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from ibc.arrays.limits import MemoryLimit
from ibc.errors import InputError, input_error

MARKS = (b"# Created by Octave", b"# name: ")
OTHER_FORMATS = (b"Octave-1-", b"\x1f\x8b")  # save -binary, and save -zip


def is_octave_text(head: bytes) -> bool:
    """Whether a file that begins so is of this format."""
    return head.startswith(MARKS)


def variables(text: str, where: str | os.PathLike, limit: MemoryLimit) -> dict[str, Callable[[], np.ndarray]]:
    """Name -> function that reads the variable, of the text of a file."""
    lines = text.split("\n")
    found: dict[str, Callable[[], np.ndarray]] = {}
    for place, line in enumerate(lines):
        name = _entry(line, "name")
        if name is not None and name != "<cell-element>":
            found.setdefault(name, _Variable(lines, place + 1, name, where, limit).read)
    return found


def _entry(line: str, key: str) -> str | None:
    """The value of a line ``# key: value``."""
    start = f"# {key}:"
    return line[len(start) :].strip() if line.startswith(start) else None


class _Variable:
    """A variable whose type stands in line ``place``, from 0."""

    def __init__(self, lines: list[str], place: int, name: str, where: str | os.PathLike, limit: MemoryLimit):
        self.lines, self.place, self.name, self.where, self.limit = lines, place, name, where, limit

    def read(self) -> np.ndarray:
        """The variable."""
        kind = (self._header("type") or "").removeprefix("global ").removeprefix("float ")
        if kind in ("scalar", "bool"):
            return self._numbers(self.lines[self.place : self.place + 1], 1).reshape(1, 1)
        if kind in ("string", "sq_string"):
            return np.array(self._texts(), object)
        if kind == "cell":
            return self._cell()
        if kind in ("sparse matrix", "sparse bool matrix"):
            return self._sparse()
        if kind.endswith("matrix") and "complex" not in kind:
            return self._diagonal() if kind == "diagonal matrix" else self._matrix()
        raise input_error(self.where, f"'{self.name}', {kind or 'nothing'} of Octave", "a matrix of numbers",
                          "save it by: save -v7 FILE", line=self.place)

    def _header(self, key: str) -> str:
        """The value of the next line, which is ``# key: value``."""
        value = _entry(self.lines[self.place], key) if self.place < len(self.lines) else None
        if value is None:
            raise self._error(f"no line '# {key}:'")
        self.place += 1
        return value

    def _count(self, key: str) -> int:
        text = self._header(key)
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise self._error(f"'{text[:40]}' for {key}")
        return int(text)

    def _matrix(self) -> np.ndarray:
        if _entry(self._rows(1)[0], "ndims") is not None:  # of whole numbers and bool: one number a line
            self._header("ndims")
            shape = self._numbers(self._rows(1), None, np.int64)
            if not 2 <= len(shape) <= 8 or (shape < 0).any():
                raise self._error("no dimensions")
            self.place += 1
            sides = [int(side) for side in shape]
            count = int(np.prod(sides, dtype=object))
            return self._numbers(self._rows(count), count).reshape(sides, order="F")
        rows, columns = self._count("rows"), self._count("columns")
        return self._numbers(self._rows(rows if columns else 0), rows * columns).reshape(rows, columns)

    def _diagonal(self) -> np.ndarray:
        rows, columns = self._count("rows"), self._count("columns")
        values = self._numbers(self._rows(min(rows, columns)), min(rows, columns))
        self.limit.take(8 * rows * columns, f"'{self.name}'")
        full = np.zeros((rows, columns))
        np.fill_diagonal(full, values)
        return full

    def _sparse(self) -> np.ndarray:
        entries, rows, columns = self._count("nnz"), self._count("rows"), self._count("columns")
        triples = self._numbers(self._rows(entries), 3 * entries).reshape(-1, 3)
        places = triples[:, :2].astype(np.int64) - 1
        if entries and not ((places >= 0) & (places < (rows, columns))).all():
            raise self._error("an entry outside of the sparse matrix")
        self.limit.take(8 * rows * columns, f"'{self.name}'")
        full = np.zeros((rows, columns))
        np.add.at(full, (places[:, 0], places[:, 1]), triples[:, 2])
        return full

    def _texts(self) -> list[str]:
        found = []
        count = self._count("elements")
        for _ in range(count):
            self._count("length")
            found += self._rows(1)
            self.place += 1
        if not count:
            self._count("length")
        return found

    def _cell(self) -> np.ndarray:
        count = self._count("rows") * self._count("columns")
        found: list[str] = []
        while len(found) < count:
            while self.place < len(self.lines) and not self.lines[self.place].strip():
                self.place += 1
            if self._header("name") != "<cell-element>":
                raise self._error("no cell")
            if self._header("type") not in ("string", "sq_string"):
                raise self._error("a cell that is no text")
            texts = self._texts()
            found.append(texts[0] if texts else "")
        return np.array(found, object)

    def _rows(self, count: int) -> list[str]:
        if count > len(self.lines) - self.place:
            raise self._error(f"{len(self.lines) - self.place} lines for {count} rows")
        return self.lines[self.place : self.place + count]

    def _numbers(self, lines: list[str], count: int | None, dtype: type = np.float64) -> np.ndarray:
        """The numbers of some lines; ``count`` of them are expected."""
        words = " ".join(lines).replace("NA", "NaN").split()
        if count is not None and len(words) != count:
            raise self._error(f"{len(words)} numbers instead of {count}")
        self.limit.take(8 * len(words), f"'{self.name}'")
        try:
            return np.array(words, dtype=np.str_).astype(dtype) if words else np.empty(0, dtype)
        except (ValueError, OverflowError):
            raise self._error("a word that is no number") from None

    def _error(self, what: str) -> InputError:
        return input_error(self.where, f"{what} in '{self.name}'", "Octave's text format", "save it by: save -v7 FILE",
                           line=self.place + 1)
