"""Queries that stand in a separate database too: each would find itself.

The codes files of queries and database flow in; the database row of each such query, and what a user is told, flow out.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ibc.codes import CodeSet
from ibc.data.accents import composed
from ibc.retrieval.engine.ranking import NOT_THERE

ALIKE = 0.02  # mean difference of two sigmoid codes up to which they are of one image: other devices round otherwise
_PLAIN_NAME = re.compile(r"[\w-]+\.\w+", re.ASCII)  # of a file: nothing to normalise in it


@dataclass(frozen=True)
class Overlap:
    """Queries in the database.

    rows: (Q,) int64, the first database row of each query, NOT_THERE for those that are not in it. inside: (D,) bool,
    items of the database that are queries. note: for people, "" where nothing is to be said.
    """

    rows: np.ndarray
    inside: np.ndarray
    note: str

    def __bool__(self) -> bool:
        """Whether any query stands in the database."""
        return bool(self.inside.any())

    @property
    def is_whole(self) -> bool:
        """Whether every item of the database is a query: then each query is left out of its own ranking alone."""
        return bool(self.inside.all())


def find_overlap(queries: CodeSet, database: CodeSet, query_path: str | os.PathLike | None = None,
                 db_path: str | os.PathLike | None = None) -> Overlap:
    """The queries that stand in the database: the same file, the same path, or the same file name with the same codes.

    Where a file holds no paths, the same codes of real numbers. An image of the same path but of other codes is another
    image: both files may count their paths from folders of their own. query_path, db_path: the files.
    """
    if _same_file(query_path, db_path):
        return _overlap([[row] for row in range(len(queries))], len(database), "the very same file")
    if not queries.paths or not database.paths:
        return _overlap(_by_codes(queries, database), len(database), "same codes; the files hold no paths")
    paths = [plain_path(text) for text in queries.paths]
    by_path, by_name = _places(database.paths, {posixpath.basename(path) for path in paths})
    found, named, others = [], 0, 0
    for query, path in enumerate(paths):
        same = [row for row in by_path.get(path, []) if _alike(queries, query, database, row)]
        others += not same and path in by_path
        if not same:
            same = [row for row in by_name.get(posixpath.basename(path), ())
                    if np.array_equal(queries.binary_codes[query], database.binary_codes[row])]
            named += bool(same)
        found.append(same)
    how = " or ".join(["same path"] * (named < sum(map(bool, found))) + ["same file name and codes"] * (named > 0))
    note = f"{others} paths of queries stand in the database with other codes: taken for other images" if others else ""
    return _overlap(found, len(database), how, note)


def _overlap(found: list[list[int]], items: int, how: str, more: str = "") -> Overlap:
    """From the database rows of each query."""
    rows = np.array([own[0] if own else NOT_THERE for own in found], np.int64)
    inside = np.zeros(items, bool)
    inside[[row for own in found for row in own]] = True
    notes = []
    if inside.any():
        left_out = "each is left out of its own ranking" if inside.all() else "the database is taken without them"
        notes = [f"{(rows != NOT_THERE).sum()} of {len(rows)} queries stand in the database too ({how}): {left_out} in "
                 "the figures to trust"]
    return Overlap(rows, inside, "; ".join([*notes, *([more] if more else [])]))


def _same_file(first: str | os.PathLike | None, second: str | os.PathLike | None) -> bool:
    try:
        return first is not None and second is not None and os.path.samefile(first, second)
    except OSError:
        return False


def plain_path(path: str) -> str:
    """A path as it is compared: slashes, no ``.`` and ``..``, accents composed."""
    return posixpath.normpath(composed(path.strip().replace("\\", "/")))


def _places(paths: list[str], names: set[str]) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Rows by path, and by file name, of the paths with one of these file names."""
    by_path: dict[str, list[int]] = defaultdict(list)
    by_name: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(paths):
        name = text[text.rfind("/") + 1 :]
        if name in names or not _PLAIN_NAME.fullmatch(name):  # a database is large: few paths are looked at closely
            path = plain_path(text)
            if (name := posixpath.basename(path)) in names:
                by_path[path].append(row)
                by_name[name].append(row)
    return by_path, by_name


def _alike(queries: CodeSet, query: int, database: CodeSet, row: int) -> bool:
    return bool(np.abs(queries.binary_codes[query] - database.binary_codes[row]).mean() <= ALIKE)


def _by_codes(queries: CodeSet, database: CodeSet) -> list[list[int]]:
    """Equal codes of real numbers are of one image; equal bits are not, for short codes are shared by many."""
    if np.array_equal(queries.binary_codes, database.binary_codes) and len(queries) > 1:
        return [[row] for row in range(len(queries))]
    middle = np.isin(queries.binary_codes, (0, 0.5, 1)).sum(axis=1)
    keys = [code.tobytes() if is_real else b"" for code, is_real in
            zip(queries.binary_codes, middle < queries.code_length - 1, strict=True)]
    found: dict[bytes, list[int]] = {key: [] for key in keys if key}
    for row, code in enumerate(database.binary_codes if found else ()):
        own = found.get(code.tobytes())
        if own is not None:
            own.append(row)
    return [found.get(key, []) for key in keys]
