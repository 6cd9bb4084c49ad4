"""The ranking kernels in torch, for a GPU (and for the tests on a CPU).

Inner products of signs by matrix multiplication, one stable sort for each block of queries, and from the sorted block
the counts and sums that the compiled kernels give. Distances are exact, because signs are small integers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ibc.retrieval.engine.device import Device
from ibc.retrieval.engine.ranking import RankedBlock, Ranking

BLOCK_PAIRS = 40_000_000  # query-item pairs in a block: about 50 bytes each while it is sorted
HALF_EXACT_BITS = 2048  # half precision holds the integers up to this


def ranked_blocks(ranking: Ranking, cutoffs: np.ndarray, points: np.ndarray, device: Device,
                  block_pairs: int = BLOCK_PAIRS) -> Iterator[RankedBlock]:
    """What ``kernels.rank_block`` writes, for all queries in order, at most ``block_pairs`` pairs at a time."""
    device = torch.device(device)
    items, length = ranking.db_signs.shape
    exact = torch.float16 if device.type == "cuda" and length <= HALF_EXACT_BITS else torch.float32
    database = torch.from_numpy(ranking.db_signs).to(device, exact).T
    db_labels = torch.from_numpy(ranking.db_labels.values).to(device)
    relevance = _shared_label if ranking.db_labels.multi_label else _same_class
    size = max(1, block_pairs // max(items, 1))
    for start in range(0, len(ranking.query_signs), size):
        rows = slice(start, start + size)
        signs = torch.from_numpy(ranking.query_signs[rows]).to(device, exact)
        distance = _distances(signs, database, ranking.half_steps)
        relevant = relevance(torch.from_numpy(ranking.query_labels.values[rows]).to(device), db_labels)
        if ranking.self_match in ("keep", "exclude"):
            own = torch.from_numpy(ranking.self_index[rows]).to(device)[:, None]
            relevant.scatter_(1, own, False)
            if ranking.self_match == "exclude":
                distance.scatter_(1, own, ranking.bins)  # behind everything, at a distance that is not counted
        found = _rank(distance, relevant, ranking.bins, cutoffs, points)
        yield RankedBlock(rows, *(values.cpu().numpy() for values in found))


def _distances(signs: Tensor, database: Tensor, half_steps: bool) -> Tensor:
    """(Q, D) int16: n - inner product over the n bits of the query that are not 0, halved where all are even."""
    inner = (signs @ database).to(torch.int16)
    distance = inner.neg_().add_((signs != 0).sum(dim=1, keepdim=True).to(torch.int16))
    return distance if half_steps else distance >> 1


def _same_class(labels: Tensor, db_labels: Tensor) -> Tensor:
    """(Q, D) bool from ids (Q,) and (D,)."""
    return labels[:, None] == db_labels


def _shared_label(labels: Tensor, db_labels: Tensor) -> Tensor:
    """(Q, D) bool from label sets (Q, C) and (D, C)."""
    return labels.float() @ db_labels.float().T > 0


def _rank(distance: Tensor, relevant: Tensor, bins: int, cutoffs: np.ndarray, points: np.ndarray) -> tuple[Tensor, ...]:
    """counts, relevant counts (Q, B), sums (Q, A) and hits (Q, N) from (Q, D) distances and relevance."""
    items = distance.shape[1]
    nearest, order = torch.sort(distance, dim=1, stable=True)
    relevant = relevant.gather(1, order)
    del order
    so_far = torch.nn.functional.pad(relevant.cumsum(dim=1, dtype=torch.int32), (1, 0))  # (Q, D + 1), from rank 0
    edges = torch.arange(bins, dtype=nearest.dtype, device=nearest.device).expand(len(nearest), -1).contiguous()
    ends = torch.searchsorted(nearest, edges, right=True)  # (Q, B) items up to each distance
    counts = torch.diff(ends, dim=1, prepend=torch.zeros_like(ends[:, :1])).to(torch.int32)
    found = so_far.gather(1, ends)
    relevant_counts = torch.diff(found, dim=1, prepend=torch.zeros_like(found[:, :1]))
    hits = so_far[:, np.minimum(points, items)]
    ranks = torch.arange(1, items + 1, dtype=torch.float64, device=nearest.device)
    precision = (so_far[:, 1:] / ranks).mul_(relevant)
    sums = [precision[:, : int(min(cutoff, items))].sum(dim=1) for cutoff in cutoffs]
    return counts, relevant_counts, torch.stack(sums, dim=1), hits
