"""All numbers of one run's codes that the report shows.

A ``CodeSet`` flows in; a ``RunScores`` flows out. Everything is computed here, nothing is drawn.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ibc.codes import CodeSet
from ibc.labels import Labels
from ibc.retrieval.average_precision import RetrievalScores, retrieval_scores
from ibc.retrieval.bits import on_expert_bits, random_bits
from ibc.retrieval.category import CategoryRetrieval, Pair, Protocol, Row, right_share
from ibc.retrieval.code_health import CodeHealth, code_health
from ibc.retrieval.mutual_info import MutualInfoScore, mutual_info_score, random_codes

CURVE_BITS = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64)
POINTS = (1, 10, 100)


@dataclass(frozen=True)
class Options:
    """How a report scores. queries: at most so many in the curve over the number of bits."""

    top_k: int = 13
    draws: int = 20
    seed: int = 0
    queries: int = 2000
    neighbours: int = 10
    samples: int = 100
    device: Any = "cpu"


@dataclass
class ExpertCurve:
    """mAP (query left out, expected over ties) over the number of bits, of ``queries`` queries.

    bits: numbers of bits. expert: with the expert bits of the true class, None without a GRM. random, deviation: mean
    and standard deviation over draws of as many random bits.
    """

    bits: list[int]
    queries: int
    expert: list[float] | None
    random: list[float]
    deviation: list[float]


@dataclass
class RunScores:
    """Of one run. labels: of its images.

    all_bits, expert, vote, random: rows of the category table; expert and vote are None without a GRM.
    vote_right: share of the queries whose class the vote names. mis, floors: estimator -> score of the codes, and of
    random codes of the same balance (None where no image has a category).
    """

    labels: Labels
    all_bits: Row
    expert: Row | None
    vote: Row | None
    vote_right: float | None
    random: Row
    mis: dict[str, MutualInfoScore]
    floors: dict[str, MutualInfoScore]
    curve: ExpertCurve
    health: CodeHealth

    @property
    def retrieval(self) -> RetrievalScores:
        """With all bits, the query left out."""
        assert self.all_bits.trusted_scores is not None
        return self.all_bits.trusted_scores


def score_run(codes: CodeSet, options: Options, done: Callable[[int], None] = lambda count: None, *,
              multi_label: bool = False, path: str | os.PathLike | None = None) -> RunScores:
    """Score codes against themselves; ``done`` hears of each of ``steps(options)`` rankings; ``path`` is for errors."""
    top_k = min(options.top_k, codes.code_length)
    pair = Pair(codes, codes, multi_label, path)
    labels = pair.labels
    retrieval = CategoryRetrieval(pair, Protocol(points=POINTS, device=options.device), done)
    expert = vote = vote_right = None
    if codes.grm is not None:
        expert = retrieval.expert_bits(top_k, labels, f"expert_map_top{top_k}",
                                       f"{top_k} expert bits of the true class")
        classes = retrieval.vote(options.neighbours)
        vote_right = right_share(classes, labels, codes.grm)
        vote = retrieval.expert_bits(top_k, Labels(classes), f"expert_map_top{top_k}_vote",
                                     f"{top_k} expert bits by vote")
    mis: dict[str, MutualInfoScore] = {}
    floors: dict[str, MutualInfoScore] = {}
    signs = retrieval.query_signs
    if labels.has_class.any():
        for estimator in ("knn", "exact"):
            for found, bits in ((mis, signs), (floors, random_codes(signs, options.seed))):
                found[estimator] = mutual_info_score(bits, labels, estimator=estimator, samples=options.samples,
                                                     seed=options.seed)
    return RunScores(labels, retrieval.all_bits(), expert, vote, vote_right,
                     retrieval.random_bits(top_k, options.draws, options.seed), mis, floors,
                     _expert_curve(codes, labels, signs, options, done), code_health(codes))


def steps(code_length: int, has_grm: bool, options: Options) -> int:
    """Rankings that ``score_run`` makes."""
    curve = len(_curve_bits(code_length, options.top_k)) * (options.draws + has_grm)
    return 1 + 2 * has_grm + options.draws + curve


def class_scores(scores: RunScores) -> dict[str, dict[int, float]]:
    """Column -> class id -> mean average precision of its queries (query left out, expected over ties)."""
    rows = {"all bits": scores.all_bits, "expert bits": scores.expert}
    return {name: scores.labels.class_means(row.trusted[0].per_query) for name, row in rows.items() if row is not None}


def _curve_bits(length: int, top_k: int) -> list[int]:
    return sorted({*(bits for bits in CURVE_BITS if bits <= length), min(top_k, length)})


def _expert_curve(codes: CodeSet, labels: Labels, signs: np.ndarray, options: Options,
                  done: Callable[[int], None]) -> ExpertCurve:
    rows = np.sort(np.random.default_rng(options.seed).permutation(len(signs))[: options.queries])

    def score(query_signs: np.ndarray, db_signs: np.ndarray) -> float:
        scores = retrieval_scores(query_signs, labels[rows], db_signs, labels, self_match="exclude", query_index=rows,
                                  device=options.device)
        done(1)
        return float(scores.mean_average_precision("expected"))

    counts = _curve_bits(codes.code_length, options.top_k)
    sets = random_bits(codes.code_length, max(counts), options.draws, options.seed)
    drawn = [[score(signs[rows][:, bits[:count]], signs[:, bits[:count]]) for bits in sets] for count in counts]
    expert = None
    if codes.grm is not None:
        expert = [score(on_expert_bits(signs[rows], labels[rows], codes.grm, count), signs) for count in counts]
    return ExpertCurve(counts, len(rows), expert, [float(np.mean(values)) for values in drawn],
                       [float(np.std(values, ddof=1)) for values in drawn])
