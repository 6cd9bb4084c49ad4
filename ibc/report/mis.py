"""What ``compute_mutual_info_offline.py`` says: both estimates, repeated, beside random codes.

Code and label files flow in; a summary for people, a table with one row a bit and the metrics of
the JSON flow out.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ibc.codes import binarise, load_codes, load_raw
from ibc.errors import input_error
from ibc.files import atomic_write
from ibc.labels import Labels, as_labels
from ibc.retrieval.mutual_info import MutualInfoScore, Samples, mutual_info_score, random_codes

NAMES = {"knn": "k-NN (official)", "exact": "exact"}
RAW_CLASSES = 100
MOST_TELLING = 5  # bits named in the summary


@dataclass
class Values:
    """values: (N, K), what "knn" sees. signs: (N, K) int8, what "exact" sees. class_num: classes are the ids below it.
    """

    values: np.ndarray
    signs: np.ndarray
    labels: Labels
    class_num: int


@dataclass
class MisReport:
    """scores, floors: estimator -> one score a repeat, of the codes and of random codes of the same bit balance."""

    scores: dict[str, list[MutualInfoScore]]
    floors: dict[str, list[MutualInfoScore]]
    balance: np.ndarray
    class_num: int

    @property
    def classes(self) -> list[int]:
        return self._first.classes.tolist()

    @property
    def official(self) -> float:
        """The number the official program prints: of the k-NN estimate where it was asked for."""
        return float(self._first)

    @property
    def _first(self) -> MutualInfoScore:
        return next(iter(self.scores.values()))[0]

    def per_bit(self, estimator: str) -> np.ndarray:
        """(K,) mean over repeats of the largest information over classes."""
        return np.mean([score.per_bit for score in self.scores[estimator]], axis=0)

    def best_class(self, estimator: str) -> np.ndarray:
        """(K,) id of the class with the largest mean information over repeats."""
        table = np.mean([score.table for score in self.scores[estimator]], axis=0)
        return self._first.classes[table.argmax(axis=0)]

    def metrics(self) -> dict[str, Any]:
        """The metrics of the JSON; ``mis_random_floor`` belongs to the first estimate, as ``mis_random_floor_knn``."""
        found: dict[str, Any] = {}
        for name, scores in self.scores.items():
            found[f"mis_{name}"] = float(np.mean(scores))
            found[f"mis_{name}_deviation"] = deviation(scores)
            found[f"mis_{name}_repeats"] = [float(score) for score in scores]
            found[f"mis_random_floor_{name}"] = float(np.mean(self.floors[name]))
            found[f"mis_random_floor_{name}_deviation"] = deviation(self.floors[name])
            found[f"mis_{name}_per_bit"] = self.per_bit(name)
            found[f"best_class_{name}"] = self.best_class(name)
        found["mis_random_floor"] = found[f"mis_random_floor_{next(iter(self.scores))}"]
        return found | {"classes": self.classes, "bit_balance": self.balance}


def load_values(code_path: str, label_path: str | None, is_mat: bool, rows: int, length: int,
                class_num: int | None, multi_label: bool = False) -> Values:
    """Read codes files, or raw float32 ones; raw codes are used as they are by k-NN, as the official program does."""
    if is_mat or Path(code_path).suffix in (".mat", ".npz"):
        codes = load_codes(code_path, label_path)
        labels = codes.item_labels(multi_label, label_path or code_path)
        if class_num is None:
            class_num = labels.class_count if codes.grm is None else len(codes.grm)
        return Values(codes.bits, codes.bits, labels, class_num)
    if multi_label:
        raise input_error(code_path, "raw codes with --multi_label", "a .mat or .npz file",
                          "a raw label file holds one label an image")
    if label_path is None:
        raise input_error(code_path, "raw codes and no labels", "--label_file_path",
                          "give the label file, or a .mat or .npz file that holds both")
    if rows < 1 or length < 1:
        raise input_error("--sample_num and --fea_dim", f"{rows} and {length}", "at least 1 each")
    raw = load_raw(code_path, label_path, rows, length)
    values = raw.binary_codes
    for path, numbers in ((code_path, values), (label_path, raw.labels)):
        if not np.isfinite(numbers).all():
            raise input_error(path, "numbers that are not finite", "finite ones", "check --sample_num and --fea_dim")
    signs = values.astype(np.int8) if np.isin(values, (-1, 0, 1)).all() and (values < 0).any() else binarise(values)
    return Values(values, signs, as_labels(raw.labels), RAW_CLASSES if class_num is None else class_num)


def measure(values: Values, estimators: Sequence[str], samples: Samples, seed: int, repeats: int) -> MisReport:
    """Estimate with seeds ``seed``, ``seed + 1``, ...; the random codes of a repeat come from its seed too."""
    scores: dict[str, list[MutualInfoScore]] = {name: [] for name in estimators}
    floors: dict[str, list[MutualInfoScore]] = {name: [] for name in estimators}
    for name in estimators:
        bits = values.values if name == "knn" else values.signs
        for turn in range(seed, seed + repeats):
            for found, codes in ((scores, bits), (floors, random_codes(bits, turn))):
                found[name].append(mutual_info_score(codes, values.labels, estimator=name, samples=samples, seed=turn,
                                                     class_num=values.class_num))
    return MisReport(scores, floors, (values.signs > 0).mean(axis=0), values.class_num)


def summary(report: MisReport) -> Iterator[str]:
    """Lines for people."""
    repeats = len(next(iter(report.scores.values())))
    yield f"{'MIS in nats':<18}{'these codes':>20}{'random codes':>20}" + (f"   ({repeats} repeats)" * (repeats > 1))
    for name, scores in report.scores.items():
        yield f"{NAMES[name]:<18}{_plus_minus(scores):>20}{_plus_minus(report.floors[name]):>20}"
    yield "random codes: every bit shuffled over the images, its balance kept"
    name = next(iter(report.scores))
    best, per_bit = report.best_class(name), report.per_bit(name)
    telling = np.argsort(-per_bit, kind="stable")[:MOST_TELLING]
    named = ", ".join(f"bit {bit + 1}: class {best[bit]} ({per_bit[bit]:.3f})" for bit in telling)
    yield f"most telling bits ({NAMES[name]}; bits from 1): {named}"


def write_table(path: str | os.PathLike, report: MisReport) -> None:
    """CSV with one row a bit: number from 1, share of ones, and per estimate its information, best class and floor."""
    columns: dict[str, Any] = {"bit": np.arange(1, len(report.balance) + 1), "share_of_ones": report.balance}
    for name in report.scores:
        columns[f"mi_{name}"] = report.per_bit(name)
        columns[f"best_class_{name}"] = report.best_class(name)
        columns[f"mi_random_{name}"] = np.mean([score.per_bit for score in report.floors[name]], axis=0)
    with atomic_write(path, "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True))


def deviation(scores: Sequence[float]) -> float:
    """Standard deviation over repeats, NaN for a single one."""
    return float(np.std(scores, ddof=1)) if len(scores) > 1 else float("nan")


def _plus_minus(scores: Sequence[float]) -> str:
    return f"{np.mean(scores):.4f}" + (f" ± {deviation(scores):.4f}" if len(scores) > 1 else "")
