"""The inputs of a ranking, checked: which queries are compared with which database, and what is relevant.

Arrays of a caller flow in; a ``Ranking`` flows out, which ``blocks`` runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ibc.codes import as_signs
from ibc.errors import input_error
from ibc.labels import Labels, as_array, as_labels

SELF_MATCHES = ("keep", "exclude", "hit")  # a query in its own ranking: kept as irrelevant, taken out, a hit
NOT_THERE = -1  # database row of a query that is not in the database


@dataclass
class Ranking:
    """Q queries against D items of K bits.

    query_signs (Q, K), db_signs (D, K): int8 in {-1, 0, 1}. query_labels, db_labels: category ids are int32.
    self_index: (Q,) int64, database row of each query, NOT_THERE where it has none.
    self_match: one of SELF_MATCHES, or None for a separate database.
    half_steps: distances are counted in half steps, because some code of the database has a 0.
    """

    query_signs: np.ndarray
    db_signs: np.ndarray
    query_labels: Labels
    db_labels: Labels
    self_index: np.ndarray
    self_match: str | None
    half_steps: bool = field(init=False)

    def __post_init__(self) -> None:
        self.half_steps = not self.db_signs.all()

    @property
    def bins(self) -> int:
        """B, the number of possible distances."""
        return self.db_signs.shape[1] * (2 if self.half_steps else 1) + 1


class RankedBlock(NamedTuple):
    """What one pass over the database tells about the queries ``rows``; see ``kernels.rank_block``.

    counts, relevant_counts: (Q, B) int32, items and relevant items at each distance. sums: (Q, A) float64, precision
    summed over the relevant items up to each cut-off rank. hits: (Q, N) int32, relevant items up to each point. Both
    with ties in database order.
    """

    rows: slice
    counts: np.ndarray
    relevant_counts: np.ndarray
    sums: np.ndarray
    hits: np.ndarray


def make_ranking(query_bits: Any, query_labels: Any, db_bits: Any, db_labels: Any, self_match: str | None,
                 query_index: Any = None) -> Ranking:
    """Check shapes, values and labels; arguments as ``mean_average_precision`` takes them.

    Raises InputError where they do not fit together.
    """
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
    if not q_labels.multi_label:  # any numbers; the kernels compare int32
        _, numbers = np.unique(np.concatenate([q_labels.values, d_labels.values]), return_inverse=True)
        q_labels, d_labels = map(Labels, np.split(numbers.astype(np.int32), [len(q_labels)]))
    return Ranking(queries, database, q_labels, d_labels, _self_index(self_match, query_index, queries, database),
                   self_match)


def _self_index(self_match: str | None, query_index: Any, queries: np.ndarray, database: np.ndarray) -> np.ndarray:
    if self_match is None:
        return np.full(len(queries), NOT_THERE, np.int64)
    if self_match not in SELF_MATCHES:
        raise input_error(None, f"self_match '{self_match}'", "keep, exclude, hit or None")
    if query_index is None:
        if len(queries) != len(database):
            raise input_error(None, f"{len(queries)} queries and {len(database)} items with self_match '{self_match}'",
                              "the queries to be the database", "use self_match None for a separate database")
        return np.arange(len(queries))
    rows = as_array(query_index).astype(np.int64)
    if rows.shape != (len(queries),) or (rows.size and (rows.min() < NOT_THERE or rows.max() >= len(database))):
        raise input_error(None, f"query_index of shape {rows.shape}", f"{len(queries)} rows of the database")
    return rows
