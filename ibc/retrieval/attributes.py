"""Attribute retrieval: which images with an attribute are found from the others that have it.

Signs and attribute flags flow in; mAP for each attribute flows out. The queries of an attribute are the items that
have it (value exactly 1), relevant are the items of the database that have it; 2 (missing) is not 1. The query counts
as a hit in the official protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ibc.labels import Labels
from ibc.retrieval.average_precision import ORDERS, RetrievalScores, retrieval_scores
from ibc.retrieval.engine.device import Device


@dataclass(frozen=True)
class AttributeData:
    """Queries and database of one evaluation over A attributes.

    query_signs (Q, K), db_signs (D, K): int8. query_flags (Q, A), db_flags (D, A): bool, has the attribute.
    same: the queries are the database.
    """

    query_signs: np.ndarray
    query_flags: np.ndarray
    db_signs: np.ndarray
    db_flags: np.ndarray
    same: bool
    device: Device = "cpu"

    @property
    def attributes(self) -> int:
        """A, the number of attributes."""
        return self.db_flags.shape[1]

    def columns(self, chosen: Sequence[int] | np.ndarray) -> AttributeData:
        """The same items with the chosen attributes only."""
        return replace(self, query_flags=self.query_flags[:, chosen], db_flags=self.db_flags[:, chosen])

    def on_bits(self, bits: np.ndarray) -> AttributeData:
        """The same items with the bits of a 0-based list; a bit that the list names twice counts twice."""
        return replace(self, query_signs=self.query_signs[:, bits], db_signs=self.db_signs[:, bits])

    def halves(self, seed: int) -> tuple[AttributeData, AttributeData]:
        """Two halves of the items, drawn from ``seed``; a separate database is halved too."""
        random = np.random.default_rng(seed)
        queries = np.array_split(random.permutation(len(self.query_signs)), 2)
        items = queries if self.same else np.array_split(random.permutation(len(self.db_signs)), 2)
        first, second = (replace(self, query_signs=self.query_signs[q], query_flags=self.query_flags[q],
                                 db_signs=self.db_signs[d], db_flags=self.db_flags[d])
                         for q, d in zip(map(np.sort, queries), map(np.sort, items), strict=True))
        return first, second


def attribute_maps(data: AttributeData, self_match: str = "hit",
                   ranked: Callable[[float], None] = lambda share: None) -> dict[str, np.ndarray]:
    """Order of ties ("stable", "expected", "pessimistic", "optimistic") -> (A,) mAP; NaN for an attribute nobody has.

    self_match: "hit" (official), "exclude" or "keep"; it matters only where the queries are the database. ranked: hears
    the share of the rankings that are done.
    """
    columns, rows = np.nonzero(data.query_flags.T)  # a ranking for each attribute of each query, attribute by attribute
    scores = _scores(data, data.query_signs[rows], columns, self_match if data.same else None, rows, ranked)
    queries = np.bincount(columns, minlength=data.attributes)
    with np.errstate(invalid="ignore"):
        return {order: np.bincount(columns, scores.average_precision(order), data.attributes) / queries
                for order in ORDERS}


def full_ones_maps(data: AttributeData) -> np.ndarray:
    """(A,) average precision (stable order) of one made-up query, the code of ones; NaN for an attribute nobody has."""
    ones = np.ones((data.attributes, data.query_signs.shape[1]), np.int8)
    columns = np.arange(data.attributes)
    values = _scores(data, ones, columns, None, None).average_precision()
    return np.where(data.db_flags.any(axis=0), values, np.nan)


def _scores(data: AttributeData, signs: np.ndarray, columns: np.ndarray, self_match: str | None,
            rows: np.ndarray | None, ranked: Callable[[float], None] = lambda share: None) -> RetrievalScores:
    """Scores of queries ``signs`` (Q, K), each for the attribute ``columns[i]``; rows: their rows in the database."""
    if data.attributes == 1:  # one number an item is quicker to compare than a set
        labels, db_labels = np.ones(len(columns), np.int32), data.db_flags[:, 0].astype(np.int32)
    else:
        labels, db_labels = np.zeros((len(columns), data.attributes), bool), data.db_flags
        labels[np.arange(len(columns)), columns] = True
    return retrieval_scores(signs, Labels(labels), data.db_signs, Labels(db_labels), self_match=self_match,
                            device=data.device, query_index=rows if self_match else None, ranked=ranked)
