"""Category retrieval: with all bits, with the expert bits of a class, and with as many random bits.

Query and database codes flow in; one ``Row`` a way of choosing bits flows out, each scored twice:
under the protocol asked for (the paper's by default), and in the way one should trust, with the
query left out of its ranking and the expected value over the order of ties.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ibc.codes import CodeSet
from ibc.errors import input_error
from ibc.labels import NO_CATEGORY, Labels
from ibc.retrieval.average_precision import MeanAveragePrecision, RetrievalScores, retrieval_scores
from ibc.retrieval.bits import on_expert_bits, random_bits
from ibc.retrieval.engine.device import choose_device
from ibc.retrieval.engine.ranking import make_ranking


@dataclass(frozen=True)
class Protocol:
    """How to score. self_match: keep, exclude, hit, or None for a separate database. ties: stable, expected, bounds.

    at: cut-offs beside the whole ranking. points: ranks of precision and recall.
    """

    self_match: str | None = "keep"
    ties: str = "stable"
    at: tuple[int, ...] = ()
    points: tuple[int, ...] = ()
    device: Any = "cpu"

    @property
    def trusted_match(self) -> str | None:
        """The query's treatment in the column to trust."""
        return "exclude" if self.self_match else None


@dataclass
class Pair:
    """Queries and database; the same object twice where the queries are the database.

    multi_label: an item has a set of labels. labels, db_labels: of the queries and of the database. Paths: for errors.
    """

    queries: CodeSet
    database: CodeSet
    multi_label: bool = False
    query_path: str | os.PathLike | None = None
    db_path: str | os.PathLike | None = None

    def __post_init__(self) -> None:
        self.labels = self.queries.item_labels(self.multi_label, self.query_path)
        self.db_labels = self.labels if self.same else self.database.item_labels(self.multi_label, self.db_path)
        if self.multi_label and self.labels.class_count != self.db_labels.class_count:
            raise input_error(self.db_path, f"{self.db_labels.class_count} label columns with --multi_label",
                              f"{self.labels.class_count}, as in {self.query_path}")

    @property
    def same(self) -> bool:
        return self.queries is self.database

    @property
    def files(self) -> list[CodeSet]:
        """The one or two code sets."""
        return [self.queries] if self.same else [self.queries, self.database]

    @property
    def grm(self) -> np.ndarray | None:
        """The rule matrix, of the query file or else of the database file."""
        return self.queries.grm if self.queries.grm is not None else self.database.grm


@dataclass
class Row:
    """One way of choosing bits, scored. key: its name in JSON. name: for people. note: what else there is to say.

    asked, trusted: mAP under the protocol and in the way to trust, one for each draw of bits (one without draws).
    scores, trusted_scores: what they come from, of the first draw.
    """

    key: str
    name: str
    asked: list[MeanAveragePrecision] = field(default_factory=list)
    trusted: list[MeanAveragePrecision] = field(default_factory=list)
    scores: RetrievalScores | None = None
    trusted_scores: RetrievalScores | None = None
    note: str = ""


class CategoryRetrieval:
    """Scores rows for one pair of code sets; signs are cut once. ``done`` hears of each ranking."""

    def __init__(self, pair: Pair, protocol: Protocol, done: Callable[[int], None] = lambda count: None):
        self.pair, self.protocol, self.done = pair, protocol, done
        self.query_signs = pair.queries.bits
        self.db_signs = self.query_signs if pair.same else pair.database.bits
        self.labels, self.db_labels = pair.labels, pair.db_labels
        pairs = len(self.query_signs) * len(self.db_signs)
        self.device = choose_device(protocol.device, pairs)

    def all_bits(self) -> Row:
        row = Row("category_map", f"all {self.pair.queries.code_length} bits")
        return self._scored(row, self.query_signs, self.db_signs)

    def expert_bits(self, top_k: int, classes: Labels, key: str, name: str, note: str = "") -> Row:
        """Rank each query by the expert bits of its class, or of its labels together."""
        signs = on_expert_bits(self.query_signs, classes, self.pair.grm, top_k)
        return self._scored(Row(key, name, note=note), signs, self.db_signs)

    def vote(self, neighbours: int) -> np.ndarray:
        """(Q,) class that the nearest items of the database vote for, the query left out."""
        from ibc.retrieval.class_prediction import vote

        ranking = make_ranking(self.query_signs, self.labels, self.db_signs, self.db_labels,
                               self.protocol.trusted_match)
        return vote(ranking, self.db_labels, neighbours)

    def random_bits(self, count: int, draws: int, seed: int) -> Row:
        """Rank all queries by the same ``count`` random bits, draw by draw."""
        row = Row(f"random_map_{count}", f"{count} random bits, {draws} draws")
        for bits in random_bits(self.query_signs.shape[1], count, draws, seed):
            self._scored(row, self.query_signs[:, bits], self.db_signs[:, bits])
        return row

    def _scored(self, row: Row, signs: np.ndarray, db_signs: np.ndarray) -> Row:
        asked = self._scores(signs, db_signs, self.protocol.self_match)
        same = self.protocol.trusted_match == self.protocol.self_match
        trusted = asked if same else self._scores(signs, db_signs, self.protocol.trusted_match)
        row.asked.append(asked.mean_average_precision(self.protocol.ties))
        row.trusted.append(trusted.mean_average_precision("bounds"))
        row.scores, row.trusted_scores = row.scores or asked, row.trusted_scores or trusted
        self.done(1)
        return row

    def _scores(self, signs: np.ndarray, db_signs: np.ndarray, self_match: str | None) -> RetrievalScores:
        return retrieval_scores(signs, self.labels, db_signs, self.db_labels, self_match=self_match,
                                at=(None, *self.protocol.at), points=self.protocol.points, device=self.device)


def notes(pair: Pair, all_bits: Row) -> list[str]:
    """What a reader of the numbers should know about these codes, if anything."""
    found = []
    labels = pair.labels
    if not pair.multi_label and pair.queries.looks_multi_label:
        found.append("lab looks like one 0/1 column for each class: if it is, give --multi_label")
    without = int((all_bits.scores.relevant == 0).sum()) if all_bits.scores else 0
    if without:
        found.append(f"{_queries(without)} without a relevant item: average precision 0, counted in the mean")
    unlabelled = int((~labels.has_class).sum())
    if unlabelled:
        found.append(f"{_queries(unlabelled)} without any label" if pair.multi_label else
                     f"{_queries(unlabelled)} without a category ({NO_CATEGORY}): treated as one more class")
    if pair.grm is not None and not pair.multi_label:
        outside = int((~labels.has_class_below(len(pair.grm))).sum())
        if outside:
            found.append(f"{_queries(outside)} of a class that is none of the {len(pair.grm)} rows of the GRM: "
                         "no expert bits, database order")
    zeros = sum(int((codes.binary_codes == 0.5).sum()) for codes in pair.files)
    if zeros:
        found.append(f"{zeros} code value{'s' * (zeros > 1)} of exactly 0.5: sign 0, half a step from either bit")
    return found


def right_share(predicted: np.ndarray, labels: Labels, grm: np.ndarray) -> float:
    """Share of the queries with a class of the GRM whose class, or one of whose labels, was predicted.

    predicted: (Q,) class ids, -1 for none. NaN where no query has a class of the GRM.
    """
    known = labels.has_class_below(len(grm))
    return float(labels.contains(predicted)[known].mean()) if known.any() else float("nan")


def _queries(number: int) -> str:
    return f"{number} {'query' if number == 1 else 'queries'}"
