"""Mean average precision (mAP) of a full ranking by binary codes, exactly, with its tie rules.

Codes and labels of queries and database flow in. Out flow the mAP with ties in the database order of the paper, its
expected value and bounds over all orders of ties, mAP at cut-off ranks, precision and recall. The definition (official,
section 8 of the reference): AP = 1/R . sum over the relevant items of (relevant so far) / rank, over all R relevant
items of the database; 0 where there is none. mAP is the mean over the queries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ibc.errors import input_error
from ibc.retrieval.engine.blocks import blocks
from ibc.retrieval.engine.device import Device, choose_device
from ibc.retrieval.engine.ranking import Ranking, make_ranking
from ibc.retrieval.means import mean

ORDERS = ("stable", "expected", "pessimistic", "optimistic")  # of equally distant items; each gives a mAP
TIE_RULES = ("stable", "expected", "bounds")  # what can be asked for
DIVISORS = ("relevant", "min")
WHOLE_RANKING = int(np.iinfo(np.int32).max)  # the cut-off rank that cuts nothing


class MeanAveragePrecision(float):
    """A mAP: a plain number with its parts as attributes.

    As a number it is the mean under the tie rule asked for (``bounds``: the expected value).
    stable, expected, pessimistic, optimistic: the mean under each order of ties; all come from one pass.
    per_query: (Q,) float64, average precision of each query under the rule asked for.
    """

    stable: float
    expected: float
    pessimistic: float
    optimistic: float
    per_query: np.ndarray

    @property
    def bounds(self) -> tuple[float, float]:
        """(pessimistic, optimistic): relevant items last, or first, among equally distant ones."""
        return self.pessimistic, self.optimistic


def mean_average_precision(
    query_bits: Any,
    query_labels: Any,
    db_bits: Any,
    db_labels: Any,
    *,
    self_match: str | None = None,
    ties: str = "stable",
    at: int | None = None,
    device: Device = "cpu",
    divisor: str = "relevant",
    query_index: Any = None,
) -> MeanAveragePrecision:
    """The mAP of ranking the database for every query, a number that also holds its parts.

    query_bits: (Q, K), db_bits: (D, K), signs -1, 0, +1 (``CodeSet.bits``), or bool; numpy or torch. The ranking is by
      inner product: for codes without 0, Hamming distance. A 0 in a query takes that bit out of its ranking.
    query_labels, db_labels: ``Labels``; or (Q,), (D,) numbers, relevant where equal (99999, no category, is one more
      class); or (Q, C), (D, C) of 0 and 1, relevant where a 1 is shared (2, missing, is not a 1).
    self_match: None for a separate database. Where the queries are the database (row i is query i, or
      ``query_index[i]``, -1 where query i is not in it): "keep", as in the paper: the query holds its rank and is not
      relevant; "exclude": it is taken out; "hit": it counts as relevant (the official attribute retrieval).
    ties: order of equally distant items: "stable" (database order, as in the paper), "expected" (mean over all orders,
      in closed form), "bounds" (the expected value; ``.bounds`` holds the worst and the best order).
    at: the cut-off rank: only so many items count. ``divisor`` "relevant" then divides by all relevant items of the
      database, "min" by min(at, relevant).
    device: "cpu" (all cores), "cuda", "auto" or a torch device.

    A query without relevant items counts as 0; without queries the result is NaN.
    Raises InputError where shapes or values do not fit.
    """
    _one_of("ties", ties, TIE_RULES)
    scores = retrieval_scores(query_bits, query_labels, db_bits, db_labels, self_match=self_match, at=(at,),
                              device=device, query_index=query_index)
    return scores.mean_average_precision(ties, at, divisor)


def retrieval_scores(
    query_bits: Any,
    query_labels: Any,
    db_bits: Any,
    db_labels: Any,
    *,
    self_match: str | None = None,
    at: Sequence[int | None] = (None,),
    points: Sequence[int] = (),
    device: Device = "cpu",
    query_index: Any = None,
    ranked: Callable[[float], None] = lambda share: None,
) -> RetrievalScores:
    """Everything that one pass over all query-item pairs tells; other arguments as in ``mean_average_precision``.

    at: cut-off ranks of average precision (None: the whole ranking). points: ranks N of precision@N and recall@N.
    ranked: hears the share of the queries that are ranked, from 0 to 1, again and again.
    """
    for name, ranks in (("at", at), ("points", points)):
        for rank in ranks:
            if rank is not None and (rank < 1 or rank != int(rank)):
                raise input_error(None, f"{name} {rank}", "a whole rank from 1")
    ranking = make_ranking(query_bits, query_labels, db_bits, db_labels, self_match, query_index)
    return _collect(ranking, tuple(at), tuple(points), device, ranked)


@dataclass
class RetrievalScores:
    """Scores of Q queries over A cut-off ranks, N points and B distances.

    at: the cut-off ranks. sums: order of ties -> (Q, A), the sums that average precision divides.
    of_found: (Q, A), the expected value over ties of the same, divided by the relevant items up to the cut-off rank.
    relevant: (Q,) relevant items of the database.
    points: ranks N. hits: order of ties ("stable", "expected") -> (Q, N), relevant items up to each rank.
    radius: (B,) Hamming radii, in half steps where codes have zeros. pairs, relevant_pairs: (B,) query-item pairs
    within each radius, over all queries. precision_within: (B,) mean over the queries of the precision within each
    radius; a query that finds nothing counts as 0.
    """

    at: tuple[int | None, ...]
    sums: dict[str, np.ndarray]
    of_found: np.ndarray
    relevant: np.ndarray
    points: tuple[int, ...]
    hits: dict[str, np.ndarray]
    radius: np.ndarray
    pairs: np.ndarray
    relevant_pairs: np.ndarray
    precision_within: np.ndarray

    def average_precision(self, order: str = "stable", at: int | None = None, divisor: str = "relevant") -> np.ndarray:
        """(Q,) average precision under one of ``ORDERS``; 0 for a query without relevant items."""
        _one_of("divisor", divisor, DIVISORS)
        share = self.relevant if divisor == "relevant" or at is None else np.minimum(self.relevant, at)
        return self.sums[order][:, self.at.index(at)] / np.maximum(share, 1)

    def mean_average_precision(self, ties: str = "stable", at: int | None = None,
                               divisor: str = "relevant") -> MeanAveragePrecision:
        """The mean over the queries, NaN where there is none."""
        _one_of("ties", ties, TIE_RULES)
        rule = "expected" if ties == "bounds" else ties
        per_query = self.average_precision(rule, at, divisor)
        result = MeanAveragePrecision(mean(per_query))
        result.per_query = per_query
        for order in ORDERS:
            setattr(result, order, mean(self.average_precision(order, at, divisor)))
        return result

    def mean_precision_of_found(self, at: int) -> float:
        """mAP at a cut-off rank as much of the hashing literature has it, expected over ties.

        It divides by the relevant items that are found up to that rank, not by those that could be: a query that finds
        one, at rank 1, counts as 1.
        """
        return mean(self.of_found[:, self.at.index(at)])

    def precision(self, point: int, order: str = "stable") -> float:
        """Mean share of relevant items among the first ``point``; ranks beyond the database count as not relevant."""
        return mean(self.hits[order][:, self.points.index(point)] / point)

    def recall(self, point: int, order: str = "stable") -> float:
        """Mean share of the relevant items that are among the first ``point``; 0 for a query without relevant items."""
        return mean(self.hits[order][:, self.points.index(point)] / np.maximum(self.relevant, 1))

    def precision_recall_curve(self) -> tuple[np.ndarray, np.ndarray]:
        """(B,) precision and recall over all pairs within each radius: ties do not change them. NaN without pairs."""
        with np.errstate(invalid="ignore"):
            return self.relevant_pairs / self.pairs, self.relevant_pairs / np.float64(self.relevant.sum())


def _collect(ranking: Ranking, at: tuple[int | None, ...], points: tuple[int, ...], device: Device,
             ranked: Callable[[float], None]) -> RetrievalScores:
    queries, bins = len(ranking.query_signs), ranking.bins
    cutoffs = np.array([WHOLE_RANKING if rank is None else rank for rank in at], np.int64)
    sums = {order: np.empty((queries, len(at))) for order in ORDERS}
    of_found = np.empty((queries, len(at)))
    hits = {order: np.empty((queries, len(points))) for order in ("stable", "expected")}
    relevant = np.empty(queries, np.int64)
    pairs, relevant_pairs = np.zeros((2, bins), np.int64)
    within = np.zeros(bins)
    device = choose_device(device, queries * len(ranking.db_signs))
    for block in blocks(ranking, cutoffs, np.array(points, np.int64), device):
        for target, found in ((sums, block.sums), (hits, block.hits)):
            for order, values in found.items():
                target[order][block.rows] = values
        of_found[block.rows] = block.of_found
        relevant[block.rows] = block.relevant
        pairs += block.pairs
        relevant_pairs += block.relevant_pairs
        within += block.within
        ranked(min(block.rows.stop, queries) / queries)
    radius = np.arange(bins) / (2 if ranking.half_steps else 1)
    return RetrievalScores(at, sums, of_found, relevant, points, hits, radius, pairs, relevant_pairs,
                           within / queries if queries else np.full(bins, np.nan))


def _one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise input_error(None, f"{name} '{value}'", " or ".join(allowed))
