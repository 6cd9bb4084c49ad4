"""The ranking engine: queries against a database, block by block, on all CPU cores or a GPU.

Signs and labels flow in; per block of queries flow out sums of precision under every order of ties,
and counts of pairs at each distance (``Block``). Memory is bounded by blocks, not by queries x database.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ibc.codes import pack_bits
from ibc.cores import compute_threads
from ibc.errors import input_error
from ibc.labels import Labels, as_array, as_labels

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
SELF_MATCHES = ("keep", "exclude", "hit")
GPU_PAYS_FROM = 2e9  # query-item pairs: fewer are done on the CPU before a GPU has started
GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # NVIDIA, AMD, Windows' Linux
BLOCK_QUERIES = 256  # on the CPU, a block a thread
Ranked = tuple[slice, np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # rows, then as rank_block writes
NO_MASK = np.zeros((0, 0), np.uint64)


@dataclass
class Block:
    """Results for the queries ``rows`` (Q of them), over B distances, A cut-offs and N points.

    relevant: (Q,) int64, relevant items of the database.
    sums: order of ties -> (Q, A) float64, sum of precision over the relevant items up to the cut-off.
    hits: "stable", "expected" -> (Q, N), relevant items up to each point.
    pairs, relevant_pairs: (B,) int64, query-item pairs up to each distance. within: (B,) float64, sum over the
    queries of the precision up to each distance, 0 for a query that finds nothing there.
    """

    rows: slice
    relevant: np.ndarray
    sums: dict[str, np.ndarray]
    hits: dict[str, np.ndarray]
    pairs: np.ndarray
    relevant_pairs: np.ndarray
    within: np.ndarray


@dataclass
class Ranking:
    """Checked inputs of one evaluation: Q queries against D items of K bits.

    query_signs, db_signs: int8 in {-1, 0, 1}. query_labels, db_labels: category ids are int32. self_index: (Q,)
    database row of each query, -1 where it is not there.
    """

    query_signs: np.ndarray
    db_signs: np.ndarray
    query_labels: Labels
    db_labels: Labels
    self_index: np.ndarray
    self_match: str | None

    @property
    def half_steps(self) -> bool:
        """True where distances are counted in half steps, because a code of the database has a 0."""
        return not self.db_signs.all()

    @property
    def bins(self) -> int:
        """Number of possible distances."""
        return self.db_signs.shape[1] * (2 if self.half_steps else 1) + 1

    def packed_database(self) -> tuple[np.ndarray, np.ndarray]:
        """Signs and mask of the database as the kernels take them: (W, D) uint64, the mask (0, 0) without zeros."""
        signs, mask = packed_words(self.db_signs)
        return np.ascontiguousarray(signs.T), np.ascontiguousarray(mask.T) if self.half_steps else NO_MASK

    def blocks(self, cuts: np.ndarray, points: np.ndarray, device: str | torch.device) -> Iterator[Block]:
        """All queries in blocks, in order."""
        if str(device) == "cpu":
            return _cpu_blocks(self, cuts, points)
        import torch

        return self.torch_blocks(cuts, points, torch.device(device))

    def torch_blocks(self, cuts: np.ndarray, points: np.ndarray, device: torch.device,
                     block_pairs: int | None = None) -> Iterator[Block]:
        """The same through torch, on any device, at most ``block_pairs`` query-item pairs at a time."""
        from ibc.retrieval.engine.kernels import harmonic_numbers
        from ibc.retrieval.engine.torch_ranking import BLOCK_PAIRS, ranked_blocks

        harmonic = harmonic_numbers(len(self.db_signs))
        ranked = ranked_blocks(self, cuts, points, device, block_pairs or BLOCK_PAIRS)
        yield from _in_threads(lambda block: _with_ties(block, cuts, points, harmonic), ranked, compute_threads())


def make_ranking(query_bits: Any, query_labels: Any, db_bits: Any, db_labels: Any, self_match: str | None,
                 query_index: Any = None) -> Ranking:
    """Check shapes, values and labels. Raises InputError where they do not fit together."""
    queries, database = as_signs("query_bits", query_bits), as_signs("db_bits", db_bits)
    if queries.shape[1] != database.shape[1]:
        raise input_error(None, f"queries of {queries.shape[1]} bits", f"{database.shape[1]}, as in the database",
                          "take both from the same model")
    q_labels, d_labels = as_labels(query_labels, "query_labels"), as_labels(db_labels, "db_labels")
    for what, labels, bits in (("query", q_labels, queries), ("database", d_labels, database)):
        if len(labels) != len(bits):
            raise input_error(None, f"{len(labels)} {what} labels", f"{len(bits)}, one for each code")
    if q_labels.values.shape[1:] != d_labels.values.shape[1:]:
        raise input_error(None, f"query labels of shape {q_labels.values.shape} with database labels of "
                          f"{d_labels.values.shape}", "the same label columns")
    if not q_labels.multi_label:  # the kernels compare int32
        _, numbers = np.unique(np.concatenate([q_labels.values, d_labels.values]), return_inverse=True)
        q_labels, d_labels = map(Labels, np.split(numbers.astype(np.int32), [len(q_labels)]))
    return Ranking(queries, database, q_labels, d_labels, _self_index(self_match, query_index, queries, database),
                   self_match)


def as_signs(name: str, bits: Any) -> np.ndarray:
    """(N, K) int8 signs from signs (-1, 0, +1) of any type, or from bool or unsigned bits (0 means -1)."""
    bits = as_array(bits)
    if bits.ndim != 2:
        raise input_error(None, f"{name} of shape {bits.shape}", "a matrix, one row an image")
    if bits.dtype.kind in "bu":
        if bits.dtype.kind == "u" and bits.size and bits.max() > 1:
            raise input_error(None, f"a value {bits.max()} in {name}", "bits 0 and 1, or signs -1, 0 and +1")
        return (2 * bits.astype(np.int8) - 1).astype(np.int8)
    if bits.dtype.kind not in "if":
        raise input_error(None, f"{name} of type {bits.dtype}", "signs -1, 0 and +1, or bool")
    signs = bits if bits.dtype == np.int8 else np.nan_to_num(np.clip(bits, -2, 2), nan=2).astype(np.int8)
    if signs.size and (signs.min() < -1 or signs.max() > 1 or (signs is not bits and not np.array_equal(signs, bits))):
        bad = bits[(signs != bits) | (signs < -1) | (signs > 1)][0]
        raise input_error(None, f"the value {bad} in {name}", "signs -1, 0 and +1, or bool",
                          "cut sigmoid codes with ibc.codes.binarise")
    return signs


def _self_index(self_match: str | None, query_index: Any, queries: np.ndarray, database: np.ndarray) -> np.ndarray:
    if self_match is None:
        return np.full(len(queries), -1, np.int64)
    if self_match not in SELF_MATCHES:
        raise input_error(None, f"self_match '{self_match}'", "keep, exclude, hit or None")
    if query_index is None:
        if len(queries) != len(database):
            raise input_error(None, f"{len(queries)} queries and {len(database)} items with self_match '{self_match}'",
                              "the queries to be the database", "use self_match None for a separate database")
        return np.arange(len(queries))
    rows = as_array(query_index).astype(np.int64)
    if rows.shape != (len(queries),) or (rows.size and (rows.min() < 0 or rows.max() >= len(database))):
        raise input_error(None, f"query_index of shape {rows.shape}", f"{len(queries)} rows of the database")
    return rows


def choose_device(name: str, pairs: float) -> str | torch.device:
    """``cpu`` or a torch device. ``auto`` takes a GPU, when there is one, from GPU_PAYS_FROM pairs on."""
    if name == "cpu" or (name == "auto" and (pairs < GPU_PAYS_FROM or not _gpu_possible())):
        return "cpu"
    from ibc.device import resolve_device

    return resolve_device(name)


def _gpu_possible() -> bool:
    """False where no GPU driver shows its device: importing torch to ask takes seconds and 300 MB."""
    return sys.platform != "linux" or any(map(os.path.exists, GPU_DEVICES))


def _cpu_blocks(ranking: Ranking, cuts: np.ndarray, points: np.ndarray) -> Iterator[Block]:
    from ibc.retrieval.engine import kernels

    harmonic = kernels.harmonic_numbers(len(ranking.db_signs))
    count = len(ranking.query_signs)
    db, db_mask = ranking.packed_database()
    if ranking.query_labels.multi_label:
        labels, db_labels = np.zeros(count, np.int32), np.zeros(db.shape[1], np.int32)
        sets, db_sets = (pack_bits(own.values)[0] for own in (ranking.query_labels, ranking.db_labels))
        db_sets = np.ascontiguousarray(db_sets.T)
    else:
        labels, db_labels = ranking.query_labels.values, ranking.db_labels.values
        sets, db_sets = np.zeros((count, 0), np.uint64), np.zeros((0, len(db_labels)), np.uint64)
    mode = {"keep": kernels.SELF_KEPT, "exclude": kernels.SELF_EXCLUDED}.get(ranking.self_match or "",
                                                                             kernels.SELF_COUNTED)

    def rank(rows: slice) -> Block:
        queries, masks = packed_words(ranking.query_signs[rows])
        size = len(queries)
        counts, relevant = np.empty((2, size, ranking.bins), np.int32)
        sums, hits = np.empty((size, len(cuts))), np.empty((size, len(points)), np.int32)
        kernels.rank_block(queries, masks, db, db_mask, labels[rows], db_labels, sets[rows], db_sets,
                           ranking.self_index[rows], mode, cuts, points, counts, relevant, sums, hits)
        return _with_ties((rows, counts, relevant, sums, hits), cuts, points, harmonic)

    workers = compute_threads()
    size = max(1, min(BLOCK_QUERIES, -(-count // (4 * workers))))
    blocks = [slice(start, start + size) for start in range(0, count, size)]
    yield from _in_threads(rank, blocks, workers)


def _in_threads(work: Callable[[T], Block], items: Iterable[T], workers: int) -> Iterator[Block]:
    """``map`` in threads, in order; items are taken as work is done, so that nothing piles up."""
    with ThreadPoolExecutor(workers) as pool:
        running: deque[Future[Block]] = deque()
        for item in items:
            running.append(pool.submit(work, item))
            if len(running) > 2 * workers:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _with_ties(ranked: Ranked, cuts: np.ndarray, points: np.ndarray, harmonic: np.ndarray) -> Block:
    """From counts per distance to results under every tie rule."""
    from ibc.retrieval.engine.kernels import tie_block

    rows, counts, relevant, stable_sums, stable_hits = ranked
    expected, pessimistic, optimistic = np.empty((3, *stable_sums.shape))
    expected_hits = np.empty(stable_hits.shape)
    tie_block(counts, relevant, cuts, points, harmonic, expected, pessimistic, optimistic, expected_hits)
    pessimistic = np.minimum(pessimistic, np.minimum(expected, stable_sums))  # equal but for the last digit
    optimistic = np.maximum(optimistic, np.maximum(expected, stable_sums))
    inside, relevant_inside = (np.cumsum(values, axis=1, dtype=np.int32) for values in (counts, relevant))
    return Block(
        rows, relevant_inside[:, -1],
        {"stable": stable_sums, "expected": expected, "pessimistic": pessimistic, "optimistic": optimistic},
        {"stable": stable_hits, "expected": expected_hits},
        inside.sum(axis=0, dtype=np.int64), relevant_inside.sum(axis=0, dtype=np.int64),
        (relevant_inside / np.maximum(inside, 1)).sum(axis=0))


def packed_words(signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Packed signs and masks of the non-zero ones, (N, W) uint64, W a multiple of the kernels' word group."""
    from ibc.retrieval.engine.kernels import WORD_GROUP

    positive, nonzero = pack_bits(signs)
    padding = ((0, 0), (0, -positive.shape[1] % WORD_GROUP))
    if nonzero is None:
        nonzero = np.repeat(pack_bits(np.ones((1, signs.shape[1])))[0], len(signs), axis=0)
    return np.pad(positive, padding), np.pad(nonzero, padding)
