"""The numbers of one run of a study: codes, model and pooled concept maps in, a plain dictionary out.

All mAP leave the query out of its ranking and take the expected value over the order of ties.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ibc.codes import CodeSet
from ibc.labels import Labels
from ibc.retrieval.average_precision import RetrievalScores, retrieval_scores
from ibc.retrieval.bits import on_expert_bits, random_bits
from ibc.retrieval.code_health import code_health
from ibc.retrieval.engine.device import Device
from ibc.retrieval.means import deviation, mean
from ibc.retrieval.mutual_info import mutual_info_score, random_codes

EXPERT_COUNTS = (1, 2, 5, 13, 32, 64)
RANDOM_COUNT, DRAWS = 13, 5  # random bits of a draw, and draws
ENOUGH = 0.95  # share of the mAP of all bits that "enough bits" reach
AT = 1000  # cut-off rank that much of the hashing literature takes
RARE = 0.005  # a bit that is on (or off) for fewer images counts as dead


def study_scores(codes: CodeSet, predicted: np.ndarray, pooled: np.ndarray | None, device: Device,
                 seed: int) -> dict[str, Any]:
    """Scores of the codes of a test list, each image a query against all others.

    predicted: (N,) class that the code classifier names for each code. pooled: (N, K) mean of each concept map, None
    without filters; codes without a GRM have no expert bits.
    device: of the rankings. seed: of random bits and of the samples of the MIS.
    """
    labels, signs, grm = codes.item_labels(multi_label=False), codes.bits, codes.grm

    def rank(queries: np.ndarray, items: np.ndarray = signs, at: tuple[int | None, ...] = (None,)) -> RetrievalScores:
        return retrieval_scores(queries, labels, items, labels, self_match="exclude", at=at, device=device)

    def expert(classes: Labels, rows: np.ndarray, count: int) -> RetrievalScores:
        return rank(on_expert_bits(signs, classes, rows, count))

    def score(found: RetrievalScores) -> float:
        return float(found.mean_average_precision("expected"))

    counts = [count for count in EXPERT_COUNTS if count <= codes.code_length]
    all_bits = rank(signs, at=(None, AT))
    true = {} if grm is None else {count: expert(labels, grm, count) for count in counts}
    named, few = Labels(predicted), min(RANDOM_COUNT, codes.code_length)
    drawn = np.array([score(rank(signs[:, bits], signs[:, bits]))
                      for bits in random_bits(codes.code_length, few, DRAWS, seed)])
    bounds = all_bits.mean_average_precision("bounds")
    known = labels.has_class
    health = code_health(codes)
    share = health.share_of_ones
    return {
        "images": len(codes),
        "accuracy": float((predicted == labels.values)[known].mean()),
        "map": {"expected": score(all_bits), "worst": float(bounds.pessimistic), "best": float(bounds.optimistic)},
        "map_at_1000": {"by_min_of_1000_and_relevant": float(all_bits.mean_average_precision("expected", AT, "min")),
                        "by_relevant_found": all_bits.mean_precision_of_found(AT)},
        "expert": {str(count): score(found) for count, found in true.items()},
        "expert_predicted": {} if grm is None else {str(count): score(expert(named, grm, count)) for count in counts},
        "expert_of_another_class": {} if grm is None else {
            str(few): score(expert(labels, np.roll(grm, 1, axis=0), few))},
        "random": {str(few): {"mean": mean(drawn), "deviation": deviation(drawn)}},
        "enough_bits": enough_bits(labels, all_bits, true, codes.code_length) if true else None,
        "mis": {estimator: float(mutual_info_score(signs, labels, estimator=estimator, seed=seed))
                for estimator in ("knn", "exact")},
        "mis_floor": {estimator: float(mutual_info_score(random_codes(signs, seed), labels, estimator=estimator,
                                                         seed=seed)) for estimator in ("knn", "exact")},
        "mis_all_items": float(mutual_info_score(signs, labels, estimator="exact", samples="all")),
        "alignment": None if pooled is None else alignment(codes.binary_codes, pooled),
        "dead_bits": int(((share < RARE) | (share > 1 - RARE)).sum()),
        "bits_on": float(share.mean()),
        "quantisation": health.quantisation,
        "distinct_codes": health.distinct,
        "bits_of_a_class": None if health.bits_per_class is None else float(health.bits_per_class.mean()),
    }


def enough_bits(labels: Labels, all_bits: RetrievalScores, expert: dict[int, RetrievalScores], length: int) -> float:
    """Mean over classes of the fewest expert bits, of those tried, with 95 % of the class's mAP of all bits.

    A class that needs more than were tried counts with all bits.
    """
    whole = labels.class_means(all_bits.mean_average_precision("expected").per_query)
    parts = {count: labels.class_means(found.mean_average_precision("expected").per_query)
             for count, found in expert.items()}
    return float(np.mean([next((count for count, own in parts.items() if own[name] >= ENOUGH * value), length)
                          for name, value in whole.items()]))


def alignment(codes: np.ndarray, pooled: np.ndarray) -> float:
    """Mean over bits of the correlation, over images, of a bit's sigmoid value with its filter's pooled response.

    codes, pooled: (N, K). A constant bit or filter counts as 0.
    """
    a, b = codes - codes.mean(axis=0, dtype=np.float64), pooled - pooled.mean(axis=0, dtype=np.float64)
    norms = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    return float(np.mean((a * b).sum(axis=0) / np.where(norms > 0, norms, np.inf)))
