"""The mutual information score as ``ibc mis`` shows it: official lines, a summary, a table of the bits, the metrics."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ibc.csv_writer import CsvWriter
from ibc.files import atomic_write
from ibc.retrieval.means import deviation
from ibc.retrieval.repeated_mis import RepeatedMis

ESTIMATOR_NAMES = {"knn": "k-NN (official)", "exact": "exact"}
MOST_TELLING = 5  # bits named in the summary


def official_mis_lines(result: RepeatedMis, seconds: float) -> Iterator[str]:
    """What the official program prints: the class ids, the seconds, the MIS."""
    yield from map(str, result.classes.tolist())
    yield f"{seconds:.3f}"
    yield f"{result.official:.6f}"


def mis_lines(result: RepeatedMis) -> Iterator[str]:
    """Both estimates beside those of random codes, and the bits that tell most."""
    name = next(iter(result.scores))
    repeats = len(result.scores[name])
    yield f"{'MIS in nats':<18}{'these codes':>20}{'random codes':>20}" + (f"   ({repeats} repeats)" * (repeats > 1))
    for estimator, scores in result.scores.items():
        floor = _mean_text(result.floors[estimator])
        yield f"{ESTIMATOR_NAMES[estimator]:<18}{_mean_text(scores):>20}{floor:>20}"
    yield "random codes: every bit shuffled over the images, its balance kept"
    best, per_bit = result.best_class(name), result.per_bit(name)
    telling = np.argsort(-per_bit, kind="stable")[:MOST_TELLING]
    named = ", ".join(f"bit {bit + 1}: class {best[bit]} ({per_bit[bit]:.3f})" for bit in telling)
    yield f"most telling bits ({ESTIMATOR_NAMES[name]}; bits from 1): {named}"


def write_bit_table(path: str | os.PathLike, result: RepeatedMis) -> None:
    """CSV with one row a bit: number from 1, share of ones, and per estimate its information, best class and floor."""
    columns: dict[str, Any] = {"bit": np.arange(1, len(result.balance) + 1), "share_of_ones": result.balance}
    for name in result.scores:
        columns[f"mi_{name}"] = result.per_bit(name)
        columns[f"best_class_{name}"] = result.best_class(name)
        columns[f"mi_random_{name}"] = result.floor_per_bit(name)
    with atomic_write(path, "w") as handle:
        writer = CsvWriter(handle)
        writer.row(columns)
        writer.rows(zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True))


def mis_metrics(result: RepeatedMis) -> dict[str, Any]:
    """Both estimates; ``mis_random_floor`` belongs to the first of them, like ``mis_random_floor_knn``."""
    found: dict[str, Any] = {}
    for name, scores in result.scores.items():
        found[f"mis_{name}"] = float(np.mean(scores))
        found[f"mis_{name}_deviation"] = deviation(scores)
        found[f"mis_{name}_repeats"] = [float(score) for score in scores]
        found[f"mis_random_floor_{name}"] = float(np.mean(result.floors[name]))
        found[f"mis_random_floor_{name}_deviation"] = deviation(result.floors[name])
        found[f"mis_{name}_per_bit"] = result.per_bit(name)
        found[f"best_class_{name}"] = result.best_class(name)
    found["mis_random_floor"] = found[f"mis_random_floor_{next(iter(result.scores))}"]
    return found | {"classes": result.classes, "bit_balance": result.balance}


def _mean_text(scores: Sequence[float]) -> str:
    """Mean, and ± deviation over repeats where there are some."""
    return f"{np.mean(scores):.4f}" + (f" ± {deviation(scores):.4f}" if len(scores) > 1 else "")
