"""The numbers of an evaluation under the names that its JSON uses (those of the golden results)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ibc.retrieval.average_precision import ORDERS, MeanAveragePrecision, RetrievalScores
from ibc.retrieval.category import Protocol, Row

if TYPE_CHECKING:
    from ibc.report.scores import RunScores


def category_metrics(rows: Iterable[Row], protocol: Protocol) -> dict[str, Any]:
    """``category_map``, ``expert_map_top13``, ...: as asked; under ``ties_<key>`` every tie rule, asked and trusted."""
    found: dict[str, Any] = {}
    for row in rows:
        if len(row.asked) > 1:
            found |= _draws(row)
            continue
        found[row.key] = float(row.asked[0])
        found[f"ties_{row.key}"] = {"asked": _rules(row.asked[0]), "trusted": _rules(row.trusted[0])}
        if protocol.at and row.scores is not None:
            found[f"cut_{row.key}"] = [_cut(row.scores, protocol.ties, cut) for cut in protocol.at]
        if row.key == "category_map":
            if protocol.self_match == "hit":
                found["category_map_self_counted"] = float(row.asked[0])
            found |= _neighbourhood(row.trusted_scores)
    return found


def _draws(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for ending, values in (("", row.asked), ("_trusted", row.trusted)):
        found[row.key + ending] = float(np.mean(values))
        found[f"{row.key}{ending}_deviation"] = float(np.std(values, ddof=1))
        found[f"{row.key}{ending}_draws"] = [float(value) for value in values]
    return found


def _rules(value: MeanAveragePrecision) -> dict[str, float]:
    return {order: getattr(value, order) for order in ORDERS}


def _cut(scores: RetrievalScores, ties: str, cut: int) -> dict[str, Any]:
    order = "stable" if ties == "stable" else "expected"
    return {"at": cut, "map_over_all_relevant": float(scores.mean_average_precision(ties, cut)),
            "map_over_min": float(scores.mean_average_precision(ties, cut, "min")),
            "precision": scores.precision(cut, order), "recall": scores.recall(cut, order)}


def _neighbourhood(scores: RetrievalScores | None) -> dict[str, Any]:
    if scores is None:
        return {}
    precision, recall = scores.precision_recall_curve()
    return {
        "precision_at": {str(point): scores.precision(point, "expected") for point in scores.points},
        "recall_at": {str(point): scores.recall(point, "expected") for point in scores.points},
        "precision_recall_curve": {"radius": scores.radius, "precision": precision, "recall": recall,
                                   "precision_within": scores.precision_within},
    }


def run_metrics(scores: RunScores) -> dict[str, Any]:
    """Everything the report's page shows of one run's codes."""
    rows = [row for row in (scores.all_bits, scores.expert, scores.vote, scores.random) if row is not None]
    found = category_metrics(rows, Protocol())
    if scores.vote_right is not None:
        found["class_accuracy_vote"] = scores.vote_right
    for estimator, score in scores.mis.items():
        found[f"mis_{estimator}"] = float(score)
        found[f"mis_random_floor_{estimator}"] = float(scores.floors[estimator])
    return found | {"expert_curve": vars(scores.curve)} | scores.health.metrics()
