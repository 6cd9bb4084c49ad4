"""CSV tables of attributes or labels: the image, then one column a name.

A header row names the columns; comma, semicolon or tab separates them. An image is found by its path in the source,
with or without the folders around it and with or without its ending, or by its file name where that is unique. Values
may be written as Excel and pandas do it: 1.0, TRUE, NaN.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ibc.data.accents import composed
from ibc.errors import input_error
from ibc.labels import MISSING, NEGATIVE
from ibc.text_files import has_undecoded, not_utf8, read_text

CLASS_WEIGHT_LIMIT = 100.0
CLASS_WEIGHT_RULE = ("pos_weight of a class: images of train.txt without it / images with it, at most "
                     f"{CLASS_WEIGHT_LIMIT:g}, 1 where none has it")
_ATTRIBUTE_VALUES = {"1": 1, "0": 0, "-1": NEGATIVE, "": MISSING, "2": MISSING}
_OTHER_WORDS = {"true": "1", "false": "0", "nan": "", "na": "", "n/a": "", "+1": "1"}
_SEPARATOR = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # Excel's own first line
_LABEL_VALUES = {"1": 1, "0": 0, "-1": 0, "": 0}


@dataclass
class ImageTable:
    """A table of images. names: of the columns after the image. rows: image as written -> a value for each column.

    lines: image as written -> its line, for messages.
    """

    path: Path
    names: list[str]
    rows: dict[str, tuple[int, ...]]
    lines: dict[str, int]

    def match(self, paths: Iterable[str]) -> tuple[dict[str, tuple[int, ...]], list[tuple[str, str]]]:
        """Find the row of each path of the source.

        Returns path -> values, and (image, reason) for each row without an image. Raises InputError where no row has
        one.
        """
        keys = _keys(list(paths))
        matched, unused = {}, []
        for image, values in self.rows.items():
            path = keys.get(composed(image))
            if path is None:
                if has_undecoded(image):
                    raise not_utf8(self.path, self.lines[image])
                unused.append((image, f"no such image ({self.path.name}, line {self.lines[image]})"))
            else:
                matched[path] = values
        if not matched:
            raise input_error(self.path, f"no image of the source among its rows (first: '{next(iter(self.rows))}')",
                              "paths as in the source, or file names", line=2)
        return matched, unused


def read_attributes(path: str | os.PathLike) -> ImageTable:
    """A table of attributes: 1 has it, 0 or -1 has not, 2 or empty not annotated. Values are kept; empty becomes 2.

    Raises InputError, which names the line, for a table with a fault.
    """
    return _read(Path(path), _ATTRIBUTE_VALUES, "1, 0, -1, 2 or nothing")


def read_labels(path: str | os.PathLike) -> ImageTable:
    """A table of classes: 1 says yes; 0, -1 and empty say no, and become 0.

    Raises InputError, which names the line, for a table with a fault.
    """
    return _read(Path(path), _LABEL_VALUES, "1 or 0")


def class_weights(rows: Iterable[Iterable[int]], class_num: int) -> list[float]:
    """A weight for each class by CLASS_WEIGHT_RULE, to two decimals, from the 0/1 rows of a list."""
    rows = list(rows)
    counts = [sum(column) for column in zip(*rows, strict=True)] if rows else [0] * class_num
    return [round(min((len(rows) - count) / count, CLASS_WEIGHT_LIMIT), 2) if count else 1.0 for count in counts]


def _read(path: Path, values: dict[str, int], expected: str) -> ImageTable:
    text = read_text(path, keep_bytes=True)  # a table may name images by bytes that are not UTF-8
    lines_before = 0
    first, _, rest = text.partition("\n")
    if mark := _SEPARATOR.fullmatch(first):
        text, lines_before = rest, 1
        first = text.partition("\n")[0]
    if has_undecoded(first):
        raise not_utf8(path, lines_before + 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark[1] if mark else max(",;\t", key=first.count),
                        skipinitialspace=True)
    try:
        header = [field.strip() for field in next(reader, [])]
        unnamed = _unnamed_columns(header)
        names = header[1 : len(header) - unnamed]
        if not names:
            raise input_error(path, "no column after the image", "a header 'image,name,...'", line=1)
        if double := [name for name, count in Counter(names).items() if count > 1]:
            raise input_error(path, f"two columns '{double[0]}'", "each name once", line=1)
        if all(_plain(name) in values for name in names):
            raise input_error(path, "values in the first line", "a header 'image,name,...'", line=1)
        rows: dict[str, tuple[int, ...]] = {}
        lines: dict[str, int] = {}
        for fields in reader:
            line = lines_before + reader.line_num
            if not any(fields):
                continue
            image, *cells = (cell.strip() for cell in fields)
            image = image.replace("\\", "/").removeprefix("./")
            if len(cells) > len(names) and not any(cells[len(names):]) and len(cells) <= len(names) + unnamed:
                cells = cells[: len(names)]
            if len(cells) != len(names):
                raise input_error(path, f"{len(cells)} values", f"{len(names)}, one a column of the header", line=line)
            plain = [_plain(cell) for cell in cells]
            if bad := [cell for cell, value in zip(cells, plain, strict=True) if value not in values]:
                raise input_error(path, f"'{bad[0]}'", expected, line=line)
            if image in rows:
                raise input_error(path, f"'{image}' again (first in line {lines[image]})", "one row an image",
                                  line=line)
            rows[image] = tuple(values[value] for value in plain)
            lines[image] = line
    except csv.Error as error:
        raise input_error(path, f"text that is no table ({error})", "comma, semicolon or tab between the columns",
                          line=lines_before + reader.line_num) from None
    if not rows:
        raise input_error(path, "no row after the header", "one row an image")
    return ImageTable(path, names, rows, lines)


def _unnamed_columns(header: list[str]) -> int:
    """How many columns at the end of a header have no name: Excel writes them where a cell was once filled."""
    return next((count for count, name in enumerate(reversed(header)) if name), len(header))


def _plain(cell: str) -> str:
    """A value as it is in a table of whole numbers: "1" for 1.0, TRUE and True."""
    cell = cell.lower()
    return _OTHER_WORDS.get(cell, cell.removesuffix(".0"))


def _keys(paths: list[str]) -> dict[str, str]:
    """Every way to name an image, with composed accents -> its path.

    An image may be named by its path, or by that without leading folders; each with or without its ending.
    """
    found: dict[str, str | None] = {}
    for path in paths:
        parts = composed(path).split("/")
        for start in range(len(parts)):
            tail = "/".join(parts[start:])
            for key in {tail, os.path.splitext(tail)[0]}:
                found[key] = path if key not in found or key == path else None  # two images: the name says nothing
    found.update((composed(path), path) for path in paths)
    return {key: path for key, path in found.items() if path is not None}
