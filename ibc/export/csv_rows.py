"""``codes.csv`` of an export, for PostgreSQL, which does not read Parquet.

One row an image: id, path, the label columns, and the code as text of 0 and 1, bit 0 first, which is how PostgreSQL
writes a value of type bit(K). An image without a value has an empty cell.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ibc.csv_writer import CsvWriter, safe_paths
from ibc.export.rows import ExportRows, RowBlock, as_bytes
from ibc.files import atomic_write


def write_csv(path: Path, rows: ExportRows, done: Callable[[int], None]) -> int:
    """Write ``codes.csv``; returns the number of undecided bits, which are written as 0. done: hears of rows written.
    """
    undecided = 0
    with atomic_write(path, "w") as handle:
        writer = CsvWriter(handle)
        writer.row(["id", "path", *(column.name for column in rows.labels), "code"])
        for block in rows.blocks():
            labels = [column.cells(block.part) for column in rows.labels]
            codes = bit_texts(block, rows.codes.code_length)
            paths = safe_paths(rows.paths(block.part))
            writer.columns([rows.ids(block).tolist(), paths, *labels, codes])
            undecided += block.undecided
            done(len(block.words))
    return undecided


def bit_texts(block: RowBlock, length: int) -> list[str]:
    """The codes of a block as texts of ``length`` characters 0 and 1, bit 0 first."""
    bits = np.unpackbits(as_bytes(block.words, -(-length // 8)), axis=1, bitorder="little")[:, :length]
    whole = (bits + ord("0")).tobytes().decode("ascii")
    return [whole[start : start + length] for start in range(0, len(whole), length)]
