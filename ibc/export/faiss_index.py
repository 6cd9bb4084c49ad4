"""``codes.faiss`` of an export: an exact binary index that ``faiss.read_index_binary`` opens.

It has the distances of a search on all bits; faiss knows no masks and no weights.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ibc.export.optional import optional_library
from ibc.export.rows import ExportRows, as_bytes
from ibc.files import atomic_write


def require_faiss() -> Any:
    """The module faiss. Raises InputError where it is not installed."""
    return optional_library("faiss", "--faiss")


def write_faiss(path: Path, rows: ExportRows, done: Callable[[int], None]) -> int:
    """Write a faiss ``IndexBinaryFlat``; returns the number of undecided bits, which are written as 0.

    Row i of the index is image i. faiss takes whole bytes: a code length that is no multiple of 8 is filled up with
    bits that are 0 in all codes, and must be in queries. done: hears of rows added.
    """
    faiss = require_faiss()
    size = -(-rows.codes.code_length // 8)
    index = faiss.IndexBinaryFlat(8 * size)
    undecided = 0
    for block in rows.blocks():
        index.add(as_bytes(block.words, size))
        undecided += block.undecided
        done(len(block.words))
    with atomic_write(path) as handle:
        faiss.write_index_binary(index, faiss.PyCallbackIOWriter(handle.write))
    return undecided
