"""Runs a ranking: block by block of queries, on all CPU cores or through torch.

A ``Ranking`` flows in; per block flow out the sums of precision under every order of ties, and the counts of pairs at
each distance. Memory is bounded by the blocks, not by queries x database.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ibc.codes import pack_bits
from ibc.cores import compute_threads
from ibc.memory import lower_on_memory_error
from ibc.retrieval.engine import kernels
from ibc.retrieval.engine.device import Device
from ibc.retrieval.engine.found_kernel import found_block
from ibc.retrieval.engine.in_threads import in_threads
from ibc.retrieval.engine.packing import pack_database, pack_queries
from ibc.retrieval.engine.ranking import RankedBlock, Ranking

BLOCK_QUERIES = 256  # at most so many in a block on the CPU, where each thread has a block
SELF_MODES = {None: kernels.SELF_COUNTED, "hit": kernels.SELF_COUNTED, "keep": kernels.SELF_KEPT,
              "exclude": kernels.SELF_EXCLUDED}


@dataclass
class Block:
    """Results for the queries ``rows`` (Q of them), over B distances, A cut-off ranks and N points.

    relevant: (Q,) int64, relevant items of the database.
    sums: order of ties -> (Q, A) float64, precision summed over the relevant items up to each cut-off rank.
    of_found: (Q, A) float64, expected over ties: average precision divided by what is found up to each cut-off rank.
    hits: "stable", "expected" -> (Q, N), relevant items up to each point.
    pairs, relevant_pairs: (B,) int64, query-item pairs up to each distance, over the queries of the block.
    within: (B,) float64, precision up to each distance, summed over the queries; a query that finds nothing adds 0.
    """

    rows: slice
    relevant: np.ndarray
    sums: dict[str, np.ndarray]
    of_found: np.ndarray
    hits: dict[str, np.ndarray]
    pairs: np.ndarray
    relevant_pairs: np.ndarray
    within: np.ndarray


def blocks(ranking: Ranking, cutoffs: np.ndarray, points: np.ndarray, device: Device) -> Iterator[Block]:
    """All queries in blocks, in order.

    cutoffs: (A,) int64, cut-off ranks of average precision. points: (N,) int64, ranks of precision@N and recall@N.
    device: "cpu" for the compiled kernels, else a torch device.
    """
    if str(device) == "cpu":
        return _cpu_blocks(ranking, cutoffs, points)
    return torch_blocks(ranking, cutoffs, points, device)


def torch_blocks(ranking: Ranking, cutoffs: np.ndarray, points: np.ndarray, device: Device,
                 **limits: int) -> Iterator[Block]:
    """The same through torch, on any device. limits: ``block_pairs``, as ``torch_ranking.ranked_blocks`` takes it."""
    from ibc.retrieval.engine.torch_ranking import ranked_blocks  # noqa: PLC0415 - torch takes 2 s; a CPU needs none

    harmonic = kernels.harmonic_numbers(len(ranking.db_signs))
    tried = f"{len(ranking.query_signs)} queries and {len(ranking.db_signs)} items on {device}"
    with lower_on_memory_error("--device", tried, "--device cpu gives the same numbers"):
        ranked = ranked_blocks(ranking, cutoffs, points, device, **limits)
        yield from in_threads(lambda block: _with_ties(block, cutoffs, points, harmonic), ranked, compute_threads())


def _cpu_blocks(ranking: Ranking, cutoffs: np.ndarray, points: np.ndarray) -> Iterator[Block]:
    harmonic = kernels.harmonic_numbers(len(ranking.db_signs))
    count = len(ranking.query_signs)
    db, db_mask = pack_database(ranking.db_signs)
    if ranking.query_labels.multi_label:
        labels, db_labels = np.zeros(count, np.int32), np.zeros(db.shape[1], np.int32)
        sets, db_sets = (pack_bits(own.values)[0] for own in (ranking.query_labels, ranking.db_labels))
        db_sets = np.ascontiguousarray(db_sets.T)
    else:
        labels, db_labels = ranking.query_labels.values, ranking.db_labels.values
        sets, db_sets = np.zeros((count, 0), np.uint64), np.zeros((0, len(db_labels)), np.uint64)
    self_mode = SELF_MODES[ranking.self_match]

    def rank(rows: slice) -> Block:
        queries, masks = pack_queries(ranking.query_signs[rows])
        size = len(queries)
        counts, relevant = np.empty((2, size, ranking.bins), np.int32)
        sums, hits = np.empty((size, len(cutoffs))), np.empty((size, len(points)), np.int32)
        kernels.rank_block(queries, masks, db, db_mask, labels[rows], db_labels, sets[rows], db_sets,
                           ranking.self_index[rows], self_mode, cutoffs, points, counts, relevant, sums, hits)
        return _with_ties(RankedBlock(rows, counts, relevant, sums, hits), cutoffs, points, harmonic)

    threads = compute_threads()
    size = max(1, min(BLOCK_QUERIES, -(-count // (4 * threads))))
    yield from in_threads(rank, [slice(start, start + size) for start in range(0, count, size)], threads)


def _with_ties(ranked: RankedBlock, cutoffs: np.ndarray, points: np.ndarray, harmonic: np.ndarray) -> Block:
    """From the counts at each distance to the results under every order of ties."""
    rows, counts, relevant, stable_sums, stable_hits = ranked
    expected, pessimistic, optimistic = np.empty((3, *stable_sums.shape))
    expected_hits = np.empty(stable_hits.shape)
    kernels.tie_block(counts, relevant, cutoffs, points, harmonic, expected, pessimistic, optimistic, expected_hits)
    of_found = np.empty(stable_sums.shape)
    for place, cutoff in enumerate(cutoffs):
        found_block(counts, relevant, cutoff, harmonic, of_found[:, place])
    # Where the values are equal, rounding may put the bounds on the wrong side by the last digit.
    pessimistic = np.minimum(pessimistic, np.minimum(expected, stable_sums))
    optimistic = np.maximum(optimistic, np.maximum(expected, stable_sums))
    inside, relevant_inside = (np.cumsum(values, axis=1, dtype=np.int32) for values in (counts, relevant))
    return Block(
        rows, relevant_inside[:, -1],
        {"stable": stable_sums, "expected": expected, "pessimistic": pessimistic, "optimistic": optimistic},
        of_found, {"stable": stable_hits, "expected": expected_hits},
        inside.sum(axis=0, dtype=np.int64), relevant_inside.sum(axis=0, dtype=np.int64),
        (relevant_inside / np.maximum(inside, 1)).sum(axis=0))
