"""Runs a search over bit planes on all CPU cores.

``SearchQueries`` and ``BitPlanes`` flow in; the nearest items of each query flow out. Many queries are shared out among
the threads; for a few queries each thread has its part of the database. Memory is bounded: a few times ``top``
candidates a query.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import numpy as np

from ibc.cores import compute_threads
from ibc.retrieval.engine.plane_kernels import LANES, TILE_ITEMS, scan_counts, scan_weights
from ibc.retrieval.engine.planes import ALIGNMENT, BitPlanes, as_writable
from ibc.retrieval.engine.programs import Programs, make_programs
from ibc.retrieval.engine.queries import SearchQueries

BLOCK_QUERIES = 64  # at most so many pass over a tile together
SPARE_LEVELS = 8    # rows of counters behind the last level that adders may touch
LEAST_PLANES = 60_000  # added up by a thread of its own: less takes no longer than to wake the thread

Nearest = tuple[np.ndarray, np.ndarray]  # rows, distances of one query, nearest first


def search_planes(stores: Sequence[BitPlanes], queries: SearchQueries, top: int) -> list[Nearest]:
    """The ``top`` nearest items of each query, over stores whose rows follow one another. ``top`` is at most D.

    Distances are int64 without weights, in half steps (twice the distance) where a store has undecided bits, else
    float64; rows int64. Ties in the order of the rows.
    """
    threads = compute_threads()
    size = max(1, min(BLOCK_QUERIES, -(-len(queries) // threads)))
    blocks = [slice(start, start + size) for start in range(0, len(queries), size)]
    planes_a_tile = int(queries.rows(blocks[0]).bits_used.sum())
    parts = _parts(stores, max(1, threads // len(blocks)), LEAST_PLANES / planes_a_tile)
    programs = {(block.start, half): make_programs(queries.rows(block), half)
                for block in blocks for half in {store.undecided for store in stores}}

    def work(task: tuple[slice, tuple[BitPlanes, int, slice]]) -> list[Nearest]:
        block, (store, first_row, tiles) = task
        return _scan(store, first_row, tiles, queries.rows(block), programs[block.start, store.undecided], top)

    tasks = [(block, part) for block in blocks for part in parts]
    here = len(tasks) if threads == 1 else 1 if len(tasks) <= threads else 0  # done by the thread that asks
    others = _helpers(os.getpid(), threads).map(work, tasks[here:]) if here < len(tasks) else ()
    found = [*map(work, tasks[:here]), *others]
    half_steps = any(store.undecided for store in stores)
    nearest: list[Nearest] = []
    for number in range(len(blocks)):
        own = found[number * len(parts) : (number + 1) * len(parts)]
        for results in zip(*own, strict=True):
            merged = [(rows, values if queries.weights is not None or store.undecided == half_steps else 2 * values)
                      for (rows, values), (store, _, _) in zip(results, parts, strict=True)]
            nearest.append(_merge(merged, top))
    return nearest


@cache
def _helpers(_process: int, threads: int) -> ThreadPoolExecutor:
    """Threads that are kept: to start them takes as long as to search by a few bits.

    A forked process has none of its parent's threads, so that it needs its own.
    """
    return ThreadPoolExecutor(threads, "ibc-search")


def _parts(stores: Sequence[BitPlanes], wanted: int, least_tiles: float) -> list[tuple[BitPlanes, int, slice]]:
    """(store, its first row, tiles) for about ``wanted`` threads, in the order of the rows."""
    parts, first_row = [], 0
    for store in stores:
        tiles = len(store.used_tiles)
        count = max(1, min(wanted, int(tiles / least_tiles)))
        edges = np.linspace(0, tiles, count + 1).astype(int).tolist()
        parts += [(store, first_row, slice(start, stop)) for start, stop in pairwise(edges)]
        first_row += store.count
    return parts


def _scan(store: BitPlanes, first_row: int, tiles: slice, queries: SearchQueries, programs: Programs,
          top: int) -> list[Nearest]:
    """The nearest items of some tiles, at most ``top`` of them for each query."""
    count = len(queries)
    own = as_writable(store.used_tiles)[tiles]
    items = min(store.count, tiles.stop * TILE_ITEMS) - tiles.start * TILE_ITEMS
    room = min(2 * top + 64, max(items, top) + 1)
    first_row += tiles.start * TILE_ITEMS
    limits, used = programs.largest + 1, np.zeros(count, np.int64)
    rows = np.empty((count, room), np.int64)
    levels = int(programs.levels.max()) + SPARE_LEVELS
    raw = np.zeros(LANES * (levels + 1), np.uint64)
    start = -raw.ctypes.data % ALIGNMENT // raw.itemsize
    counters = raw[start : start + LANES * levels].reshape(levels, LANES)
    program = (programs.words, programs.steps, programs.step_counts, programs.constants, programs.levels)
    values: np.ndarray
    if queries.weights is None:
        values = np.empty((count, room), np.int32)
        scan_counts(own, items, first_row, *program, top, limits, rows, values, used, counters,
                    np.empty(int(programs.largest.max()) + 1, np.int64))
    else:
        values = np.empty((count, room))
        numbers, bits = np.nonzero(queries.signs)
        scan_weights(own, items, first_row, *program, top, limits, rows, values, used, counters,
                     np.full(count, np.inf), store.length, bits, queries.signs[numbers, bits],
                     queries.weights[numbers, bits], np.searchsorted(numbers, np.arange(count + 1)),
                     programs.scales, programs.lows)
    return [_merge([(rows[number, :kept], values[number, :kept])], top) for number, kept in enumerate(used)]


def _merge(parts: Sequence[Nearest], top: int) -> Nearest:
    """The ``top`` nearest of candidates in the order of the rows, or in the order of parts that follow one another."""
    rows, values = (np.concatenate([part[side] for part in parts]) if len(parts) > 1 else parts[0][side]
                    for side in (0, 1))
    order = np.argsort(values, kind="stable")[:top]
    return rows[order], values[order]
