"""Category retrieval: with all bits, with the expert bits of a class, and with as many random bits.

Codes of queries and database flow in; ``CategoryScores`` flow out. Every way of choosing bits is scored twice: under
the protocol asked for (by default the paper's), and in the way one should trust, with the query left out of its ranking
and the expected value over the order of ties.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from ibc.codes import CodeSet
from ibc.errors import input_error
from ibc.labels import Labels
from ibc.retrieval.average_precision import MeanAveragePrecision, RetrievalScores, retrieval_scores
from ibc.retrieval.bits import on_expert_bits, random_bits
from ibc.retrieval.class_prediction import classify, vote
from ibc.retrieval.defaults import EXPERT_BITS, NEIGHBOURS, RANDOM_DRAWS, SEED
from ibc.retrieval.engine.device import Device, choose_device
from ibc.retrieval.engine.ranking import make_ranking
from ibc.retrieval.overlap import Overlap, find_overlap


@dataclass(frozen=True)
class RankingProtocol:
    """How rankings are scored.

    self_match: "keep", "exclude", "hit", or None for a separate database. ties: "stable", "expected", "bounds"; see
    ``mean_average_precision``. at: cut-off ranks beside the whole ranking. points: ranks of precision and recall.
    overlap: the separate database holds queries; see ``trusted_match``.
    """

    self_match: str | None = "keep"
    ties: str = "stable"
    at: tuple[int, ...] = ()
    points: tuple[int, ...] = ()
    device: Device = "cpu"
    overlap: Overlap | None = None

    @property
    def trusted_match(self) -> str | None:
        """``self_match`` of the figure to trust, or "without": the database without its items that are queries."""
        if self.overlap:
            return "exclude" if self.overlap.is_whole else "without"
        return "exclude" if self.self_match else None


@dataclass(frozen=True)
class BitSettings:
    """Which bits are tried. top_k: expert bits of a class, and bits of a random draw. draws, seed: of random bits.

    neighbours: nearest items that vote for the class of a query. checkpoint: of a model whose code classifier also
    names the class of a query.
    """

    top_k: int = EXPERT_BITS
    draws: int = RANDOM_DRAWS
    seed: int = SEED
    neighbours: int = NEIGHBOURS
    checkpoint: str | None = None


@dataclass
class CodePair:
    """Codes of queries and database; the same object twice where the queries are the database.

    multi_label: an image has a set of labels. The paths are for error messages. notes: on how the files were read.
    Raises InputError for labels that do not fit.
    """

    queries: CodeSet
    database: CodeSet
    multi_label: bool = False
    query_path: str | os.PathLike | None = None
    db_path: str | os.PathLike | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.labels = self.queries.item_labels(self.multi_label, self.query_path)
        self.db_labels = self.labels if self.same else self.database.item_labels(self.multi_label, self.db_path)
        self.overlap = None if self.same else find_overlap(self.queries, self.database, self.query_path, self.db_path)
        if self.multi_label and self.labels.class_count != self.db_labels.class_count:
            raise input_error(self.db_path, f"{self.db_labels.class_count} label columns with --multi_label",
                              f"{self.labels.class_count}, as in {self.query_path}")

    @property
    def same(self) -> bool:
        """Whether the queries are the database."""
        return self.queries is self.database

    @property
    def files(self) -> list[CodeSet]:
        """The one or two code sets."""
        return [self.queries] if self.same else [self.queries, self.database]

    @property
    def grm(self) -> np.ndarray | None:
        """(C, K) rule matrix, of the query file or else of the database file."""
        return self.queries.grm if self.queries.grm is not None else self.database.grm


class BitChoice(Enum):
    """The bits with which a query is ranked; expert bits need a class, which comes from somewhere."""

    ALL = "all"
    TRUE_CLASS = "expert bits of the class that the label names"
    VOTE = "expert bits of the class that the neighbours vote for"
    CLASSIFIER = "expert bits of the class that the model's code classifier names"


@dataclass
class CategoryRow:
    """One way of choosing bits, scored once.

    bits: number of bits. asked, trusted: mAP under the protocol and in the way to trust. scores, trusted_scores: what
    they come from. class_accuracy: share of the queries whose class was named right, where it was predicted.
    """

    choice: BitChoice
    bits: int
    asked: MeanAveragePrecision
    trusted: MeanAveragePrecision
    scores: RetrievalScores
    trusted_scores: RetrievalScores
    class_accuracy: float | None = None


@dataclass
class RandomRow:
    """Random bits: bits of a draw, and asked, trusted: one mAP a draw."""

    bits: int
    asked: list[MeanAveragePrecision]
    trusted: list[MeanAveragePrecision]


@dataclass
class CategoryScores:
    """Category retrieval of one pair. rows: all bits first, then expert bits where there is a GRM."""

    pair: CodePair
    protocol: RankingProtocol
    settings: BitSettings
    rows: list[CategoryRow]
    random: RandomRow

    @property
    def all_bits(self) -> CategoryRow:
        """The ranking with all bits."""
        return self.rows[0]

    def row(self, choice: BitChoice) -> CategoryRow | None:
        """The row of a choice of bits; None where it was not scored."""
        return next((row for row in self.rows if row.choice is choice), None)


def category_steps(has_grm: bool, settings: BitSettings) -> int:
    """How often ``evaluate_category`` calls ``done``."""
    return 1 + settings.draws + ((2 if settings.checkpoint is None else 3) if has_grm else 0)


def evaluate_category(pair: CodePair, protocol: RankingProtocol, settings: BitSettings, done: Callable[[int], None],
                      ranked: Callable[[float], None] = lambda share: None) -> CategoryScores:
    """Score category retrieval with every choice of bits.

    ``done(1)`` is called after each ranking; ``ranked`` hears the share of a ranking that is done.
    """
    pairs = len(pair.queries) * len(pair.database)
    protocol = replace(protocol, device=choose_device(protocol.device, pairs), overlap=pair.overlap)
    query_signs = pair.queries.bits
    db_signs = query_signs if pair.same else pair.database.bits

    index = pair.overlap.rows if pair.overlap else None
    others = ~pair.overlap.inside if pair.overlap else slice(None)  # items of the database that are no queries

    def rank(signs: np.ndarray, items: np.ndarray, self_match: str | None) -> RetrievalScores:
        labels = pair.db_labels
        if self_match == "without":
            items, labels, self_match = items[others], labels[others], None
        return retrieval_scores(signs, pair.labels, items, labels, self_match=self_match, at=(None, *protocol.at),
                                points=protocol.points, device=protocol.device,
                                query_index=index if self_match else None, ranked=ranked)

    def rank_twice(signs: np.ndarray, items: np.ndarray) -> tuple[RetrievalScores, RetrievalScores]:
        asked = trusted = rank(signs, items, protocol.self_match)
        if protocol.trusted_match != protocol.self_match:
            trusted = rank(signs, items, protocol.trusted_match)
        done(1)
        return asked, trusted

    def row(choice: BitChoice, bits: int, signs: np.ndarray, class_accuracy: float | None = None) -> CategoryRow:
        asked, trusted = rank_twice(signs, db_signs)
        return CategoryRow(choice, bits, asked.mean_average_precision(protocol.ties),
                           trusted.mean_average_precision("bounds"), asked, trusted, class_accuracy)

    def expert(choice: BitChoice, classes: Labels, class_accuracy: float | None = None) -> CategoryRow:
        signs = on_expert_bits(query_signs, classes, pair.grm, settings.top_k)
        return row(choice, settings.top_k, signs, class_accuracy)

    def voted() -> np.ndarray:
        if protocol.trusted_match == "without":
            labels = pair.db_labels[others]
            return vote(make_ranking(query_signs, pair.labels, db_signs[others], labels, None), labels,
                        settings.neighbours, ranked)
        ranking = make_ranking(query_signs, pair.labels, db_signs, pair.db_labels, protocol.trusted_match, index)
        return vote(ranking, pair.db_labels, settings.neighbours, ranked)

    rows = [row(BitChoice.ALL, pair.queries.code_length, query_signs)]
    if pair.grm is not None:
        rows.append(expert(BitChoice.TRUE_CLASS, pair.labels))
        predicted = {BitChoice.VOTE: voted()}
        if settings.checkpoint is not None:
            predicted[BitChoice.CLASSIFIER] = classify(pair.queries.binary_codes, settings.checkpoint, len(pair.grm))
        rows += [expert(choice, Labels(classes), right_share(classes, pair.labels, len(pair.grm)))
                 for choice, classes in predicted.items()]
    random = RandomRow(settings.top_k, [], [])
    for bits in random_bits(query_signs.shape[1], settings.top_k, settings.draws, settings.seed):
        asked, trusted = rank_twice(query_signs[:, bits], db_signs[:, bits])
        random.asked.append(asked.mean_average_precision(protocol.ties))
        random.trusted.append(trusted.mean_average_precision("bounds"))
    return CategoryScores(pair, protocol, settings, rows, random)


def right_share(predicted: np.ndarray, labels: Labels, class_count: int) -> float:
    """Share of the queries with a class below ``class_count`` whose class, or one of whose labels, was predicted.

    predicted: (Q,) class ids, -1 for none. NaN where no query has such a class.
    """
    known = labels.has_class_below(class_count)
    return float(labels.contains(predicted)[known].mean()) if known.any() else float("nan")
