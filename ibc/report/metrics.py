"""The numbers of retrieval under the names that the JSON uses (those of the golden results).

Numbers of bits, attributes and groups are 0-based under names that end in ``_index``, from 1 elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ibc.report.health import health_metrics
from ibc.retrieval.average_precision import ORDERS
from ibc.retrieval.category import BitChoice
from ibc.retrieval.means import deviation, mean_of_known

if TYPE_CHECKING:  # each command needs some of these only
    from ibc.report.scores import RunScores
    from ibc.retrieval.attribute_evaluation import AttributeScores
    from ibc.retrieval.average_precision import MeanAveragePrecision, RetrievalScores
    from ibc.retrieval.category import CategoryRow, CategoryScores, RandomRow
    from ibc.retrieval.customised import Customised

PREDICTED = {BitChoice.VOTE: "vote", BitChoice.CLASSIFIER: "classifier"}  # who named the class of a query


def row_key(row: CategoryRow) -> str:
    """The name of a row's mAP: ``category_map``, ``expert_map_top13``, ``expert_map_top13_vote``, ..."""
    if row.choice is BitChoice.ALL:
        return "category_map"
    return f"expert_map_top{row.bits}" + (f"_{PREDICTED[row.choice]}" if row.choice in PREDICTED else "")


def category_metrics(scores: CategoryScores) -> dict[str, Any]:
    """mAP of every row as asked; under ``ties_<key>`` every order of ties, asked and trusted; then the random bits."""
    found: dict[str, Any] = {}
    protocol = scores.protocol
    for row in scores.rows:
        key = row_key(row)
        found[key] = float(row.asked)
        found[f"ties_{key}"] = {"asked": _orders(row.asked), "trusted": _orders(row.trusted)}
        if protocol.at:
            found[f"cut_{key}"] = [_at_cutoff(row.scores, protocol.ties, rank) for rank in protocol.at]
        if row.choice is BitChoice.ALL:
            if protocol.self_match == "hit":
                found["category_map_self_counted"] = float(row.asked)
            found |= _neighbourhood(row.trusted_scores)
    found |= _random_metrics(scores.random)
    return found | {f"class_accuracy_{PREDICTED[row.choice]}": row.class_accuracy for row in scores.rows
                    if row.choice in PREDICTED}


def per_class_metrics(scores: CategoryScores) -> dict[str, dict[int, float]]:
    """``<key>_per_class`` -> class id -> mean average precision of its queries."""
    return {f"{row_key(row)}_per_class": scores.pair.labels.class_means(row.asked.per_query) for row in scores.rows}


def _random_metrics(random: RandomRow) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for ending, values in (("", random.asked), ("_trusted", random.trusted)):
        key = f"random_map_{random.bits}{ending}"
        found[key] = float(np.mean(values))
        found[f"{key}_deviation"] = deviation(values)
        found[f"{key}_draws"] = [float(value) for value in values]
    return found


def _orders(value: MeanAveragePrecision) -> dict[str, float]:
    return {order: getattr(value, order) for order in ORDERS}


def _at_cutoff(scores: RetrievalScores, ties: str, rank: int) -> dict[str, Any]:
    order = "stable" if ties == "stable" else "expected"
    return {"at": rank, "map_over_all_relevant": float(scores.mean_average_precision(ties, rank)),
            "map_over_min": float(scores.mean_average_precision(ties, rank, "min")),
            "precision": scores.precision(rank, order), "recall": scores.recall(rank, order)}


def _neighbourhood(scores: RetrievalScores) -> dict[str, Any]:
    precision, recall = scores.precision_recall_curve()
    return {
        "precision_at": {str(point): scores.precision(point, "expected") for point in scores.points},
        "recall_at": {str(point): scores.recall(point, "expected") for point in scores.points},
        "precision_recall_curve": {"radius": scores.radius, "precision": precision, "recall": recall,
                                   "precision_within": scores.precision_within},
    }


def attribute_metrics(scores: AttributeScores) -> dict[str, Any]:
    """``attribute_map`` (official, null where no image has it), means, and the customised results."""
    plan = scores.plan
    found: dict[str, Any] = {
        "attribute_names": plan.names,
        "attribute_queries": scores.queries,
        "attribute_map": scores.official["stable"],
        "attribute_map_mean": mean_of_known(scores.official["stable"]),
        "ties_attribute_map": {"asked": scores.official, "trusted": scores.trusted},
    }
    if scores.custom is not None and plan.groups is not None:
        found["custom_map_all"] = scores.custom.oracle.map
        found["custom_map_honest"] = scores.custom.honest.map
        found["custom_per_attribute"] = [_custom_metrics(scores.custom, place, column, plan.names[column])
                                         for place, column in enumerate(plan.chosen)]
        found["group_bits_index"] = [bits.tolist() for bits in plan.groups.bits]
        found["group_names"] = plan.groups.names
    return found


def _custom_metrics(custom: Customised, place: int, column: int, name: str) -> dict[str, Any]:
    """Customised retrieval of the attribute ``column``, at ``place`` among the chosen ones."""
    maps, best, judged = custom.maps, custom.oracle, custom.honest
    return {
        "attribute": column + 1, "attribute_index": column, "name": name,
        "map": best.map[place], "best_rand_map": best.random_map[place],
        "best_full_1_map": best.ones_map[place], "best_full_1_rand_map": best.ones_random_map[place],
        **_chosen_groups("best_choice", maps.groups(best.choice[place])),
        **_chosen_groups("best_choice_full1", maps.groups(best.choice_ones[place])),
        "random_map": custom.random[:, place].mean(),
        "random_map_deviation": deviation(custom.random[:, place]),
        "random_full_1_map": custom.random_ones[:, place].mean(),
        "random_full_1_map_deviation": deviation(custom.random_ones[:, place]),
        "all_groups_map": maps.real[-1, place], "all_groups_full_1_map": maps.ones[-1, place],
        "honest_map": judged.map[place], "honest_full_1_map": judged.ones_map[place],
        "honest_choices_index": [list(maps.groups(choice[place])) for choice in judged.choices],
        "oracle_map_on_honest_data": judged.oracle_map[place],
        "oracle_full_1_map_on_honest_data": judged.oracle_ones_map[place],
    }


def _chosen_groups(name: str, groups: tuple[int, ...]) -> dict[str, list[int]]:
    return {name: [group + 1 for group in groups], f"{name}_index": list(groups)}


def run_metrics(scores: RunScores) -> dict[str, Any]:
    """Everything that the report's page shows of one run's codes."""
    found = category_metrics(scores.category)
    for estimator, score in scores.mis.items():
        found[f"mis_{estimator}"] = float(score)
        found[f"mis_random_floor_{estimator}"] = float(scores.floors[estimator])
    return found | {"expert_curve": vars(scores.curve)} | health_metrics(scores.health)
