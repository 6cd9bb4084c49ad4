"""The ranking kernels in torch, for a GPU (and for the tests on a CPU).

Inner products of signs by matrix multiplication, one stable sort for each block of queries, and from the sorted block
the counts and sums that the compiled kernels give. Distances are exact, because signs are small integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from ibc.retrieval.engine.device import Device
from ibc.retrieval.engine.in_threads import in_threads
from ibc.retrieval.engine.ranking import NOT_THERE, RankedBlock, Ranking

BLOCK_PAIRS = 40_000_000  # query-item pairs in a block: about 50 bytes each while it is sorted
BLOCKS_AT_ONCE = 2  # on a GPU
HALF_EXACT_BITS = 1024  # codes up to this length have distances, and parts of them, that half precision holds


def ranked_blocks(ranking: Ranking, cutoffs: np.ndarray, points: np.ndarray, device: Device,
                  block_pairs: int = BLOCK_PAIRS) -> Iterator[RankedBlock]:
    """What ``kernels.rank_block`` writes, for all queries in order, at most ``block_pairs`` pairs at a time."""
    device = torch.device(device)
    items, length = ranking.db_signs.shape
    exact = torch.float16 if device.type == "cuda" and length <= HALF_EXACT_BITS else torch.float32
    database = _with_constant(torch.from_numpy(ranking.db_signs).to(device), exact)  # copied as int8
    db_labels = torch.from_numpy(ranking.db_labels.values).to(device)
    relevance = _shared_label if ranking.db_labels.multi_label else _same_class
    size = max(1, block_pairs // max(items, 1))
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()  # the database is there for the threads' own streams

    def rank(start: int) -> RankedBlock:
        rows = slice(start, start + size)
        with _own_stream(device):
            signs = torch.from_numpy(ranking.query_signs[rows]).to(device)
            distance = (_distance_factors(signs, exact, ranking.half_steps) @ database).to(torch.int16)
            relevant = relevance(torch.from_numpy(ranking.query_labels.values[rows]).to(device), db_labels)
            if ranking.self_match in ("keep", "exclude"):
                own = ranking.self_index[rows]
                query = np.flatnonzero(own != NOT_THERE)
                places = tuple(torch.from_numpy(part).to(device) for part in (query, own[query]))
                relevant[places] = False
                if ranking.self_match == "exclude":
                    distance[places] = ranking.bins  # behind everything, at a distance that is not counted
            found = _rank(distance, relevant, ranking.bins, cutoffs, points)
            return RankedBlock(rows, *(values.cpu().numpy() for values in found))

    # While the host waits for the sizes and results of one block, the GPU ranks the next.
    threads = BLOCKS_AT_ONCE if device.type == "cuda" else 1
    yield from in_threads(rank, range(0, len(ranking.query_signs), size), threads)


@contextmanager
def _own_stream(device: torch.device) -> Iterator[None]:
    """On a GPU a stream of its own, so that blocks of several threads do not wait for each other."""
    if device.type != "cuda":
        yield
        return
    with torch.cuda.stream(torch.cuda.Stream(device)):
        yield


def _distance_factors(signs: Tensor, kind: torch.dtype, half_steps: bool) -> Tensor:
    """(Q, K') so that a matrix multiplication by ``_with_constant`` gives distances, without another pass over them.

    The distance is n - inner product over the n bits of the query that are not 0, halved where all are even.
    """
    scale = 1.0 if half_steps else 0.5
    length = signs.shape[1]
    factors = torch.zeros(len(signs), length + _padding(length), dtype=kind, device=signs.device)
    factors[:, :length] = signs * -scale
    factors[:, length] = (signs != 0).sum(dim=1) * scale
    return factors


def _with_constant(signs: Tensor, kind: torch.dtype) -> Tensor:
    """(K', D): the signs of the database, a row of ones, and rows of zeros up to a multiple of 8."""
    length = signs.shape[1]
    rows = torch.zeros(len(signs), length + _padding(length), dtype=kind, device=signs.device)
    rows[:, :length] = signs
    rows[:, length] = 1
    return rows.T


def _padding(length: int) -> int:
    return 8 - length % 8


def _same_class(labels: Tensor, db_labels: Tensor) -> Tensor:
    """(Q, D) bool from ids (Q,) and (D,)."""
    return labels[:, None] == db_labels


def _shared_label(labels: Tensor, db_labels: Tensor) -> Tensor:
    """(Q, D) bool from label sets (Q, C) and (D, C)."""
    return labels.float() @ db_labels.float().T > 0


def _rank(distance: Tensor, relevant: Tensor, bins: int, cutoffs: np.ndarray, points: np.ndarray) -> tuple[Tensor, ...]:
    """counts, relevant counts (Q, B), sums (Q, A) and hits (Q, N) from (Q, D) distances and relevance.

    Only the sort and the lookup of the relevance in its order touch every pair; the rest takes the relevant items.
    """
    queries, device = len(distance), distance.device
    nearest, order = torch.sort(distance, dim=1, stable=True)
    edges = torch.arange(bins, dtype=nearest.dtype, device=device).expand(queries, -1).contiguous()
    ends = torch.searchsorted(nearest, edges, right=True)  # (Q, B) items up to each distance
    counts = torch.diff(ends, dim=1, prepend=torch.zeros_like(ends[:, :1])).to(torch.int32)
    query, place = relevant.gather(1, order).nonzero(as_tuple=True)  # query by query, nearest first
    del order
    found = relevant.sum(dim=1)
    starts = found.cumsum(0) - found
    so_far = torch.arange(1, len(query) + 1, device=device) - starts[query]
    at = nearest[query, place].long()  # below ``bins``: an excluded query is not relevant
    relevant_counts = torch.zeros(queries * bins, dtype=torch.int32, device=device)
    relevant_counts.index_add_(0, query * bins + at, torch.ones_like(at, dtype=torch.int32))
    relevant_counts = relevant_counts.view(queries, bins)
    widest = int(found.max()) if queries else 0
    # A row a query, so that the sums have one order: ranks of its relevant items, then ranks beyond every cut-off rank.
    ranks = torch.full((queries, widest), torch.iinfo(torch.int64).max, device=device)
    ranks[query, so_far - 1] = place + 1
    precision = torch.arange(1, widest + 1, dtype=torch.float64, device=device) / ranks
    sums = [torch.where(ranks <= int(cutoff), precision, 0).sum(dim=1) for cutoff in cutoffs]
    hits = torch.empty(queries, len(points), dtype=torch.int32, device=device)
    for number, point in enumerate(points):
        hits[:, number] = (ranks <= int(point)).sum(dim=1)
    return counts, relevant_counts, torch.stack(sums, dim=1), hits
