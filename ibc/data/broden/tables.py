"""The CSV tables of a folder in Broden format: rows with their line numbers, what a cell holds, labels, categories.

``index.csv`` has one row an image: its path, sizes, and for each category a cell of label maps and label numbers.
``category.csv`` lists the categories, ``label.csv`` the labels, and ``c_<category>.csv`` the labels of one category.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ibc.csv_tables import csv_rows, read_records
from ibc.errors import input_error
from ibc.foreign_names import inside
from ibc.text_files import read_text
from ibc.text_files import whole_number as number_of

CATEGORIES = ("object", "part", "texture", "color", "material", "scene")  # official choice
INDEX_TABLE, CATEGORY_TABLE, LABEL_TABLE = "index.csv", "category.csv", "label.csv"
MAX_LABEL = 2**16 - 1  # R + 256 G of a label map


def code_table(category: str) -> str:
    """The name of the table that lists the labels of a category, and how much each covers."""
    return f"c_{category}.csv"


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, column -> text) of each row of a table that has at least ``columns``; blank lines are skipped.

    Raises InputError where the file or a column is missing, for a row of another length than the header, and for text
    that is not CSV in UTF-8.
    """
    try:
        yield from read_records(path, columns)
    except FileNotFoundError:
        raise input_error(path, "no such file", "a table of a Broden-format data set") from None


def table_header(path: Path) -> list[str]:
    """The names of the columns of a table; empty for an empty file."""
    return [name.strip() for name in next(csv_rows(read_text(path), path), (1, []))[1]]


def split_cell(text: str) -> list[str]:
    """The entries of a category cell of the index: paths of label maps, and numbers of labels."""
    return [entry for part in text.split(";") if (entry := part.strip())]


def is_label(entry: str) -> bool:
    """Whether an entry of a cell is a label number, not the path of a label map."""
    return entry.isascii() and entry.isdigit()


def path_below(path: Path, line: int, name: str) -> str:
    """A path of the index, below ``images/``. Raises InputError, naming the line, for one that leads elsewhere."""
    return inside(name.strip(), path, "images/", line=line)


def whole_number(path: Path, line: int, column: str, text: str, low: int, high: int | None = None) -> int:
    """The text of a cell as an integer in [low, high]. Raises InputError, naming line and column, for other text."""
    limits = f"a whole number from {low} up" if high is None else f"a whole number from {low} to {high}"
    number = number_of(text)
    if number is None:
        raise input_error(path, f"{column} '{text}'", limits, line=line)
    if number < low or (high is not None and number > high):
        raise input_error(path, f"{column} {number}", limits, line=line)
    return number


def category_order(path: Path, wanted: Sequence[str]) -> list[str]:
    """The wanted categories that the data set has, in the order of ``category.csv``.

    Raises InputError where it has none of them, and where one is listed twice.
    """
    present: list[str] = []
    for line, row in read_table(path, ("name",)):
        name = row["name"].strip()
        if name in present:
            raise input_error(path, f"'{name}' a second time", "one row for each category", line=line)
        present.append(name)
    chosen = [name for name in present if name in wanted]
    if not chosen:
        raise input_error(path, f"the categories {', '.join(present) or '(none)'}", f"one of {', '.join(wanted)}")
    return chosen


def label_names(path: Path) -> list[str]:
    """The names of the labels by their number; 0 and numbers that the table leaves out have the name "".

    Raises InputError for a number that is listed twice or that a label map cannot hold, and for a label without name.
    """
    found: dict[int, str] = {}
    for line, row in read_table(path, ("number", "name")):
        number = whole_number(path, line, "number", row["number"], 0, MAX_LABEL)
        if number in found:
            raise input_error(path, f"number {number} a second time", "one row for each label", line=line)
        name = row["name"].strip()
        if number and not name:
            raise input_error(path, f"number {number} without a name", "a name", line=line)
        found[number] = name
    found[0] = ""  # "none"
    return [found.get(number, "") for number in range(max(found) + 1)]


def listed_coverage(path: Path, labels: int) -> np.ndarray:
    """(L,) float64: the coverage of each label that a ``c_<category>.csv`` lists, NaN for the others.

    Raises InputError for a label number that ``label.csv`` does not reach, and for a coverage that is no number.
    """
    coverage = np.full(labels, math.nan)
    for line, row in read_table(path, ("code", "number", "coverage")):
        code = whole_number(path, line, "code", row["code"], 0)
        number = whole_number(path, line, "number", row["number"], 0, labels - 1)
        try:
            value = float(row["coverage"])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise input_error(path, f"coverage '{row['coverage']}'", "a number", line=line)
        if code and number:
            coverage[number] = value
    return coverage


def primary_categories(coverage: Sequence[np.ndarray], labels: int) -> np.ndarray:
    """(L,) int64: for each label the place of the category that lists it with the largest coverage.

    coverage: what ``listed_coverage`` returns, for each category. As in the official code, of two equal coverages the
    later category is taken, and the last category for a label that none lists.
    """
    primary = np.full(labels, len(coverage) - 1, np.int64)
    best = np.full(labels, -math.inf)
    for place, value in enumerate(coverage):
        better = value >= best  # False where NaN
        primary[better] = place
        best[better] = value[better]
    return primary
