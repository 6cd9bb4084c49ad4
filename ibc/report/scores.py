"""All numbers of one run's codes that the report shows.

A ``CodeSet`` flows in; a ``RunScores`` flows out. Everything is computed here, nothing is drawn.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ibc.codes import CodeSet
from ibc.labels import Labels
from ibc.retrieval.average_precision import RetrievalScores, retrieval_scores
from ibc.retrieval.bits import on_expert_bits, random_bits
from ibc.retrieval.category import (
    BitChoice,
    BitSettings,
    CategoryRow,
    CategoryScores,
    CodePair,
    RankingProtocol,
    category_steps,
    evaluate_category,
)
from ibc.retrieval.code_health import CodeHealth, code_health
from ibc.retrieval.defaults import CURVE_QUERIES, EXPERT_BITS, MIS_SAMPLES, NEIGHBOURS, RANDOM_DRAWS, SEED
from ibc.retrieval.engine.device import Device
from ibc.retrieval.means import deviation, mean
from ibc.retrieval.mutual_info import ESTIMATORS, MutualInfoScore, mutual_info_score, random_codes

CURVE_BITS = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64)
POINTS = (1, 10, 100)  # ranks of precision and recall


@dataclass(frozen=True)
class ScoreSettings:
    """How a report scores.

    top_k: expert bits of a class, all bits of a shorter code. draws: of random bits. seed: of every random choice.
    queries: at most so many in the curve over the number of bits. neighbours: that vote for a query's class.
    samples: items a class for the MIS.
    """

    top_k: int = EXPERT_BITS
    draws: int = RANDOM_DRAWS
    seed: int = SEED
    queries: int = CURVE_QUERIES
    neighbours: int = NEIGHBOURS
    samples: int = MIS_SAMPLES
    device: Device = "cpu"

    def bits_of(self, code_length: int) -> BitSettings:
        """The bits that are tried of codes of a length."""
        return BitSettings(min(self.top_k, code_length), self.draws, self.seed, self.neighbours)


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
    """Scores of one run's codes, each image a query against all.

    mis, floors: estimator -> score of the codes, and of random codes of the same bit balance; both are empty where no
    image has a category.
    """

    category: CategoryScores
    mis: dict[str, MutualInfoScore]
    floors: dict[str, MutualInfoScore]
    curve: ExpertCurve
    health: CodeHealth

    @property
    def labels(self) -> Labels:
        """Labels of the images."""
        return self.category.pair.labels

    @property
    def retrieval(self) -> RetrievalScores:
        """With all bits, the query left out."""
        return self.category.all_bits.trusted_scores

    @property
    def expert(self) -> CategoryRow | None:
        """Expert bits of the true class; None without a GRM."""
        return self.category.row(BitChoice.TRUE_CLASS)

    @property
    def vote(self) -> CategoryRow | None:
        """Expert bits of the class that the neighbours vote for; None without a GRM."""
        return self.category.row(BitChoice.VOTE)


def score_run(codes: CodeSet, settings: ScoreSettings, done: Callable[[int], None] = lambda count: None, *,
              multi_label: bool = False, path: str | os.PathLike | None = None,
              ranked: Callable[[float], None] = lambda share: None) -> RunScores:
    """Score codes against themselves.

    ``done(1)`` is called after each of ``steps`` rankings; ``ranked`` hears the share of one that is done. path: for
    errors.
    """
    pair = CodePair(codes, codes, multi_label, path)
    labels = pair.labels
    category = evaluate_category(pair, RankingProtocol(points=POINTS, device=settings.device),
                                 settings.bits_of(codes.code_length), done, ranked)
    signs = codes.bits
    mis: dict[str, MutualInfoScore] = {}
    floors: dict[str, MutualInfoScore] = {}
    if labels.has_class.any():
        for estimator in ESTIMATORS:
            for found, bits in ((mis, signs), (floors, random_codes(signs, settings.seed))):
                found[estimator] = mutual_info_score(bits, labels, estimator=estimator, samples=settings.samples,
                                                     seed=settings.seed)
    return RunScores(category, mis, floors, _expert_curve(codes, labels, signs, settings, done), code_health(codes))


def steps(code_length: int, has_grm: bool, settings: ScoreSettings) -> int:
    """Number of rankings that ``score_run`` makes."""
    curve = len(_curve_bits(code_length, settings.top_k)) * (settings.draws + has_grm)
    return category_steps(has_grm, settings.bits_of(code_length)) + curve


def class_scores(scores: RunScores) -> dict[str, dict[int, float]]:
    """Column -> class id -> mean average precision of its queries (query left out, expected over ties)."""
    rows = {"all bits": scores.category.all_bits, "expert bits": scores.expert}
    return {name: scores.labels.class_means(row.trusted.per_query) for name, row in rows.items() if row is not None}


def _curve_bits(length: int, top_k: int) -> list[int]:
    return sorted({*(bits for bits in CURVE_BITS if bits <= length), min(top_k, length)})


def _expert_curve(codes: CodeSet, labels: Labels, signs: np.ndarray, settings: ScoreSettings,
                  done: Callable[[int], None]) -> ExpertCurve:
    rows = np.sort(np.random.default_rng(settings.seed).permutation(len(signs))[: settings.queries])

    def score(query_signs: np.ndarray, db_signs: np.ndarray) -> float:
        scores = retrieval_scores(query_signs, labels[rows], db_signs, labels, self_match="exclude", query_index=rows,
                                  device=settings.device)
        done(1)
        return float(scores.mean_average_precision("expected"))

    counts = _curve_bits(codes.code_length, settings.top_k)
    sets = random_bits(codes.code_length, max(counts), settings.draws, settings.seed)
    drawn = [np.array([score(signs[rows][:, bits[:count]], signs[:, bits[:count]]) for bits in sets])
             for count in counts]
    expert = None
    if codes.grm is not None:
        expert = [score(on_expert_bits(signs[rows], labels[rows], codes.grm, count), signs) for count in counts]
    return ExpertCurve(counts, len(rows), expert, [mean(values) for values in drawn],
                       [deviation(values) for values in drawn])
