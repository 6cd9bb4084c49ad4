"""The table of images that an export writes: one row an image, its label columns, and its code as words.

Bit k of a code stands in word k // 64 with the value 2^(k mod 64); w0 holds bits 0 to 63. A bit is 1 where the code
value is above 0.5. A bit of exactly 0.5 is undecided; it is written as 0, and counted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ibc.codes import CodeSet, pack_bits
from ibc.errors import input_error
from ibc.export.query import WORD
from ibc.labels import MISSING, NO_CATEGORY, SET_VALUES

BLOCK = 122_880  # rows at a time, and of a Parquet row group: that of DuckDB, whose threads take one row group each
BINARY_BITS = 256  # a code as bytes is at least this long, so that it fits ClickHouse's UInt256


@dataclass(frozen=True)
class LabelColumn:
    """A label column. name: a plain SQL name. kind: integer, number, flag (0 or 1) or text. about: what it was called.

    values: (N,) numbers, NaN where the image has none. texts: for kind text, the text of each value.
    """

    name: str
    kind: str
    about: str
    values: np.ndarray
    texts: Sequence[str] = ()

    def cells(self, part: slice) -> list[Any]:
        """The values of some rows as int, float or str; None where the image has none."""
        return [None if np.isnan(value) else self._cell(value) for value in self.values[part].astype(np.float64)]

    def _cell(self, value: float) -> Any:
        if self.kind == "text":
            place = int(value)
            return self.texts[place] if 0 <= place < len(self.texts) else None
        return float(value) if self.kind == "number" else int(value)


@dataclass(frozen=True)
class RowBlock:
    """Consecutive rows. start: the first. words: (n, W) uint64. undecided: bits of exactly 0.5 in them."""

    start: int
    words: np.ndarray
    undecided: int

    @property
    def part(self) -> slice:
        """The rows of the block."""
        return slice(self.start, self.start + len(self.words))


@dataclass(frozen=True)
class ExportRows:
    """The codes of N images, ready to be written block by block.

    labels: see ``label_columns``. first_id: the id of the first image, where the file is one part of many.
    """

    codes: CodeSet
    labels: list[LabelColumn] = field(default_factory=list)
    first_id: int = 0

    def __len__(self) -> int:
        """Number of images."""
        return len(self.codes)

    @property
    def words(self) -> int:
        """W, the 64-bit words of a code."""
        return -(-self.codes.code_length // WORD)

    @property
    def code_bytes(self) -> int:
        """Bytes of a code: 32, or more where a code is longer than 256 bits."""
        return max(BINARY_BITS, self.words * WORD) // 8

    @property
    def word_names(self) -> list[str]:
        """w0, w1, ..."""
        return [f"w{place}" for place in range(self.words)]

    def ids(self, block: RowBlock) -> np.ndarray:
        """(n,) int64 ids of the rows of a block."""
        return np.arange(block.part.start, block.part.stop, dtype=np.int64) + self.first_id

    def blocks(self, rows: int = BLOCK) -> Iterator[RowBlock]:
        """The codes as words, ``rows`` images at a time."""
        for start in range(0, len(self), rows):
            values = self.codes.binary_codes[start : start + rows]
            ones = values > 0.5
            yield RowBlock(start, pack_bits(ones)[0], int((values == 0.5).sum()))

    def paths(self, part: slice) -> list[str | None]:
        """The paths of some rows, None without any; bytes of a file name that are not UTF-8 become a mark."""
        if self.codes.paths is None:
            return [None] * len(range(*part.indices(len(self))))
        return [path.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for path in self.codes.paths[part]]


def as_bytes(words: np.ndarray, size: int) -> np.ndarray:
    """(n, W) uint64 words -> (n, size) uint8: bit k of a code is bit k mod 8 of byte k // 8; zeros at the end."""
    plain = np.ascontiguousarray(words, "<u8").view(np.uint8).reshape(len(words), -1)
    return np.pad(plain, ((0, 0), (0, max(0, size - plain.shape[1]))))[:, :size]


def label_columns(codes: CodeSet, *, multi_label: bool = False, class_names: Sequence[str] = (),
                  attribute_names: Sequence[str] = (), path: str | os.PathLike | None = None) -> list[LabelColumn]:
    """The label columns of a table.

    With one category an image: class_id, class_name (where names are given), and a column for each attribute. With
    ``multi_label`` a column for each class. attribute_names: one for each attribute. Columns of 0 and 1 become flags,
    named has_NAME; -1 is 0 there, and 2 (nobody said) is no value. path: of the codes file, for messages. Raises
    InputError for names of another number, and for a class that is no whole number.
    """
    if multi_label:
        if class_names and len(class_names) != codes.labels.shape[1]:
            raise input_error("--class_names", f"{len(class_names)} names",
                              f"{codes.labels.shape[1]}, one for each label column")
        names = list(class_names) or [f"class {number}" for number in range(codes.labels.shape[1])]
        unlabelled = codes.labels[:, 0] == NO_CATEGORY
        return _flag_columns(codes.labels, names, unlabelled)
    ids = codes.labels[:, 0].astype(np.float64)
    odd = ids != np.floor(ids)
    if odd.any():
        raise input_error(path, f"the category {ids[odd][0]:g} in row {int(np.flatnonzero(odd)[0]) + 1} of lab",
                          "a whole number")
    ids[ids == NO_CATEGORY] = np.nan
    columns = [LabelColumn("class_id", "integer", "class", ids)]
    if class_names:
        columns.append(LabelColumn("class_name", "text", "name of the class", ids, list(class_names)))
    attributes = codes.labels[:, 1:]
    if attribute_names and len(attribute_names) != attributes.shape[1]:
        raise input_error("--attribute_names", f"{len(attribute_names)} names",
                          f"{attributes.shape[1]}, one for each attribute column")
    names = list(attribute_names) or [f"attribute {number}" for number in range(1, attributes.shape[1] + 1)]
    return columns + _flag_columns(attributes, names, np.zeros(len(codes), bool))


def _flag_columns(values: np.ndarray, names: Sequence[str], unlabelled: np.ndarray) -> list[LabelColumn]:
    columns = []
    for place, (name, column_name) in enumerate(zip(names, plain_names(names), strict=True)):
        column = values[:, place].astype(np.float32)
        if np.isin(column, SET_VALUES).all():
            column[(column == MISSING) | (column == NO_CATEGORY) | unlabelled] = np.nan
            columns.append(LabelColumn(column_name, "flag", name, np.maximum(column, 0)))  # NaN stays
        else:
            columns.append(LabelColumn(column_name, "number", name, column))
    return columns


def plain_names(names: Sequence[str]) -> list[str]:
    """A name for each column that no SQL engine needs quotes for, as in has_sailing_boating; all are different."""
    found: dict[str, None] = {}
    for name in names:
        plain = "has_" + (re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_") or "label")
        number, unique = 1, plain
        while unique in found:
            number += 1
            unique = f"{plain}_{number}"
        found[unique] = None
    return list(found)
