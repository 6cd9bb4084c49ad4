"""The results of a study as tables: one line for each method, length and code length, mean ± deviation over seeds."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

Result = dict[str, Any]
Line = tuple[str, int, int]  # method, bits, updates


def _at(name: str, count: str) -> Callable[[Result], float | None]:
    return lambda result: result["scores"][name].get(count)


def _in(part: str, *path: str) -> Callable[[Result], float | None]:
    """A score within a part that not every run has."""
    def value(result: Result) -> float | None:
        found = result["scores"].get(part)
        for name in path:
            found = found and found.get(name)
        return found

    return value


COLUMNS: dict[str, tuple[str, Callable[[Result], float | None]]] = {
    "accuracy": (".3f", lambda result: result["scores"]["accuracy"]),
    "mAP": (".3f", lambda result: result["scores"]["map"]["expected"]),
    "ties worst": (".3f", lambda result: result["scores"]["map"]["worst"]),
    "ties best": (".3f", lambda result: result["scores"]["map"]["best"]),
    "mAP@1000 / min(1000, relevant)": (".3f", _in("map_at_1000", "by_min_of_1000_and_relevant")),
    "mAP@1000 / found": (".3f", _in("map_at_1000", "by_relevant_found")),
    "5 expert": (".3f", _at("expert", "5")),
    "13 expert": (".3f", _at("expert", "13")),
    "13, predicted class": (".3f", _at("expert_predicted", "13")),
    "13 of another class": (".3f", _at("expert_of_another_class", "13")),
    "13 random": (".3f", lambda result: result["scores"]["random"].get("13", {}).get("mean")),
    "enough bits": (".1f", lambda result: result["scores"]["enough_bits"]),
    "MIS": (".3f", lambda result: result["scores"]["mis_all_items"]),
    "k-NN MIS": (".3f", lambda result: result["scores"]["mis"]["knn"]),
    "its floor": (".3f", lambda result: result["scores"]["mis_floor"]["knn"]),
    "alignment": (".2f", lambda result: result["scores"]["alignment"]),
    "bit–attribute AP": (".3f", _in("bit_attributes", "mean_average_precision")),
    "AP by chance": (".3f", _in("bit_attributes", "mean_chance")),
    "bit–attribute correlation": (".3f", _in("bit_attributes", "mean_correlation")),
    "units above chance": (".1f", _in("dissection", "above_chance", "units")),
    "their concepts": (".1f", _in("dissection", "above_chance", "concepts")),
    "units at IoU 0.04": (".1f", _in("dissection", "iou_0.04", "units")),
    "concepts at IoU 0.04": (".1f", _in("dissection", "iou_0.04", "concepts")),
    "mean IoU": (".3f", _in("dissection", "mean_iou")),
    "dead bits": (".1f", lambda result: result["scores"]["dead_bits"]),
    "quantisation": (".3f", lambda result: result["scores"]["quantisation"]),
    "ms an update": (".2f", lambda result: result["ms_per_update"]),
}


def by_line(results: Sequence[Result]) -> dict[Line, list[Result]]:
    """Results of the same method, code length and number of updates, in the order of their first."""
    found: dict[Line, list[Result]] = defaultdict(list)
    for result in results:
        found[result["method"], result["bits"], result["updates"]].append(result)
    return dict(found)


def markdown(results: Sequence[Result]) -> str:
    """A Markdown table, without the columns that no run has a value for."""
    columns = {name: (form, value) for name, (form, value) in COLUMNS.items()
               if any(value(result) is not None for result in results)}
    rows = [["method", "bits", "updates", "seeds", *columns]]
    for (method, bits, updates), runs in by_line(results).items():
        rows.append([method, str(bits), f"{updates:,}", str(len(runs)),
                     *(_cell([value(run) for run in runs], form) for form, value in columns.values())])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _cell(values: Sequence[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    spread = f" ± {statistics.stdev(known):{form}}" if len(known) > 1 else ""
    return f"{statistics.fmean(known):{form}}{spread}"
