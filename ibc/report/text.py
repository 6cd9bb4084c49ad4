"""Numbers as text, and cells in columns: what all tables for people share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ibc.screen import shortened, visible

_WIDEST = 200  # characters of a cell: names come from files


def number(value: float) -> str:
    """Four decimals, as the official programs print; "none" where there is nothing to average."""
    return "none" if math.isnan(value) else f"{value:.4f}"


def official_number(value: float) -> str:
    """Four decimals, and Octave's word for what is not a number."""
    return "NaN" if math.isnan(value) else f"{value:.4f}"


def columns(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of cells as lines, each column as wide as its content and flush left; very long cells are shortened."""
    lines = [[shortened(visible(cell).replace("\n", " "), _WIDEST) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
