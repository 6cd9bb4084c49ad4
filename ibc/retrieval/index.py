"""Customised retrieval: the nearest items of a query by some of the bits, by weights, or by a graded query.

``search`` takes codes as they are; a ``CodeIndex`` keeps a database for many searches. Exact: every item is compared.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ibc.codes import as_signs
from ibc.errors import input_error
from ibc.memory import lower_on_memory_error
from ibc.retrieval.engine.code_files import BLOCK_ITEMS, open_planes, write_index_file
from ibc.retrieval.engine.device import Device, choose_device
from ibc.retrieval.engine.plane_search import Nearest, search_planes
from ibc.retrieval.engine.planes import BitPlanes
from ibc.retrieval.engine.queries import SearchQueries, make_queries

if TYPE_CHECKING:
    from ibc.retrieval.engine.torch_search import DeviceDatabase


class SearchResult(NamedTuple):
    """The nearest items of Q queries, nearest first.

    rows: (Q, top) int64, 0-based rows of the database. distances: (Q, top), int64 where every distance is a whole
    number by its nature (no weights, no undecided bit in the database), else float64.
    """

    rows: np.ndarray
    distances: np.ndarray


class CodeIndex:
    """Codes of D items of K bits, ready to be searched.

    bits: (D, K) signs -1, 0, +1, or bool.
    """

    def __init__(self, bits: Any) -> None:
        """Take the codes ``bits``. Raises InputError for other values, such as sigmoid codes."""
        signs = as_signs("db_bits", bits)
        self._stores = [BitPlanes(signs.shape[1])]
        self._stores[0].append(signs)
        self._on_device: DeviceDatabase | None = None  # made by the first search there

    @classmethod
    def open(cls, path: str | os.PathLike, kind: str | None = None) -> CodeIndex:
        """The codes of a file.

        An index file (``save``, ``write_index``) is mapped: a search reads it from the disk or the system's cache, and
        the process holds none of it. A codes file (``.npz``, ``.mat``), or a matrix of codes or signs (``.npy``), is
        packed block by block: K / 8 bytes an item stay in memory. kind: what its numbers are, one of
        ``ibc.code_kinds.KINDS``; None: sigmoid values, or whole numbers that are bits or signs. Raises InputError where
        it holds no codes, or codes of another kind.
        """
        index = cls.__new__(cls)
        index._stores, index._on_device = [open_planes(path, kind)], None
        return index

    def save(self, path: str | os.PathLike) -> None:
        """Write all codes as an index file, whole or not at all."""
        write_index_file(path, self._blocks(), any(store.undecided for store in self._stores))

    def __len__(self) -> int:
        """D, the number of items."""
        return sum(store.count for store in self._stores)

    @property
    def code_length(self) -> int:
        """K, the number of bits."""
        return self._stores[0].length

    def add(self, bits: Any) -> None:
        """Append (N, K) signs -1, 0, +1, or bool, as the last rows. Raises InputError for another K."""
        more = as_signs("bits", bits)
        if more.shape[1] != self.code_length:
            raise input_error(None, f"codes of {more.shape[1]} bits", f"{self.code_length}, as in the database")
        if not self._stores[-1].tiles.flags.writeable:  # a memory map: its file stays as it is
            self._stores.append(BitPlanes(self.code_length))
        self._stores[-1].append(more)

    def search(self, query_bits: Any, *, bits: Any = None, weights: Any = None, top: int = 100,
               device: Device = "cpu") -> SearchResult:
        """The nearest items of each query; arguments as ``ibc.retrieval.search`` takes them."""
        queries = make_queries(query_bits, bits, weights, self.code_length)
        top = min(checked_top(top), len(self))
        rows = np.empty((len(queries), top), np.int64)
        half_steps = any(store.undecided for store in self._stores)
        whole = queries.weights is None and not half_steps
        distances = np.empty((len(queries), top), np.int64 if whole else np.float64)
        if top and len(queries):
            step = 0.5 if half_steps and queries.weights is None else 1
            nearest = self._nearest(queries, top, choose_device(device, len(queries) * len(self)))
            for number, (own_rows, values) in enumerate(nearest):
                rows[number], distances[number] = own_rows, values * step
        return SearchResult(rows, distances)

    def _blocks(self) -> Iterator[np.ndarray]:
        for store in self._stores:
            for start in range(0, max(store.count, 1), BLOCK_ITEMS):
                yield store.signs(start, min(start + BLOCK_ITEMS, store.count))

    def _nearest(self, queries: SearchQueries, top: int, device: Device) -> list[Nearest]:
        if str(device) == "cpu":
            return search_planes(self._stores, queries, top)
        from ibc.retrieval.engine import torch_search  # noqa: PLC0415 - torch takes 2 s; a CPU needs none

        tried = f"{len(self)} codes of {self.code_length} bits and {len(queries)} queries on {device}"
        with lower_on_memory_error("--device", tried, "--device cpu finds the same"):
            known = self._on_device
            if known is None or (str(known.device), known.count) != (str(device), len(self)):
                self._on_device = None  # its memory is free before the next is made
                known = self._on_device = torch_search.DeviceDatabase(self._stores, device)
            return torch_search.search_torch(known, self._stores, queries, top)


def search(db_bits: Any, query_bits: Any, *, bits: Any = None, weights: Any = None, top: int = 100,
           device: Device = "cpu") -> SearchResult:
    """The ``top`` nearest items of the database for each query, nearest first.

    The distance is the sum, over the chosen bits, of the bit's weight where the bit differs. So without weights it is
    the Hamming distance on the chosen bits. Items at equal distance come in database order.

    db_bits: (D, K) signs -1, 0, +1 (``CodeSet.bits``) or bool; or a ``CodeIndex``, which is packed only once. A 0 of
      the database is an undecided bit: it counts half.
    query_bits: (Q, K) signs or bool. A 0 takes that bit out of the query. Or graded: real values in [-1, 1], where
      the bit of a value q counts with its sign, times |q|.
    bits: 0-based numbers of the chosen bits: one set, or one set a query; None: all. A number given twice counts once.
    weights: (K,) or (Q, K), finite numbers from 0; None: 1 each.
    top: as many items at most; D where it is larger.
    device: "cpu" (all cores), "cuda", "auto" or a torch device.

    Raises InputError where shapes or values do not fit, and for a query on which no bit counts.
    """
    index = db_bits if isinstance(db_bits, CodeIndex) else CodeIndex(db_bits)
    return index.search(query_bits, bits=bits, weights=weights, top=top, device=device)


def checked_top(top: Any) -> int:
    """``top`` as a number. Raises InputError unless it is a whole number from 1."""
    if isinstance(top, bool) or int(top) != top or top < 1:
        raise input_error(None, f"top {top}", "a whole number from 1")
    return int(top)


def write_index(path: str | os.PathLike, blocks: Iterable[Any], *, undecided: bool = False) -> int:
    """Write an index file for ``CodeIndex.open`` from blocks of codes, (n, K) signs or bool each, one after another.

    Only a block is in memory at a time. ``undecided`` makes room for signs that are 0. Returns how many items there
    were. Raises InputError for blocks that do not fit, and for a 0 that was not announced; then no file is written.
    """
    return write_index_file(path, (as_signs("bits", block) for block in blocks), undecided)
