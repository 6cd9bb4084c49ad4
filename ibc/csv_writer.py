"""CSV tables as the package writes them: safe to open in a spreadsheet.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula, which may start a program; file
names and class names come from strangers. Text that begins so is written behind an apostrophe, paths behind ``./``.
Numbers keep their sign.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import IO, Any

_RUN = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # tabs and line ends are skipped; wide signs count too
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class CsvWriter:
    """Writes rows of cells to a text file. Only text is looked at; a text that is a number stays as it is."""

    def __init__(self, handle: IO[str], lineterminator: str = "\n"):
        self._writer = csv.writer(handle, lineterminator=lineterminator)

    def row(self, cells: Iterable[Any]) -> None:
        """Write one row."""
        self._writer.writerow([safe_cell(cell) for cell in cells])

    def rows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Write rows."""
        for cells in rows:
            self.row(cells)

    def columns(self, columns: Iterable[Sequence[Any]]) -> None:
        """Write rows that are given as columns of one length: quicker where there are many."""
        safe = [list(map(safe_cell, column)) if _any_runs(column) else column for column in columns]
        self._writer.writerows(zip(*safe, strict=True))


def safe_cell(cell: Any) -> Any:
    """The cell, behind an apostrophe where it is a text that a spreadsheet would run."""
    return f"'{cell}" if isinstance(cell, str) and _runs(cell) else cell


def safe_path(path: str | None) -> str | None:
    """The path, behind ``./`` where a spreadsheet would run it: it leads to the same file."""
    return f"./{path}" if path is not None and _runs(path) else path


def safe_paths(paths: Sequence[str | None]) -> list[str | None]:
    """``safe_path`` of each."""
    return [safe_path(path) for path in paths] if _any_runs(paths) else list(paths)


def cell_text(cell: str) -> str:
    """The text of a cell that ``safe_cell`` wrote."""
    return cell[1:] if cell[:1] == "'" and _runs(cell[1:]) else cell


def _any_runs(column: Sequence[Any]) -> bool:
    """Whether a column of text may hold a cell that runs: a quick look at the first characters."""
    kinds = set(map(type, column))
    if str not in kinds:
        return False
    texts = filter(None, column) if kinds <= {str, type(None)} else (cell for cell in column if isinstance(cell, str))
    return not _RUN.isdisjoint(map(itemgetter(slice(1)), texts))


def _runs(text: str) -> bool:
    return text[:1] in _RUN and _NUMBER.fullmatch(text) is None
