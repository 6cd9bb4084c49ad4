"""The MIS of a codes file, repeated with several seeds, and what random codes of the same bit balance reach.

Code and label files flow in; a ``RepeatedMis`` with both estimates flows out. ``mutual_info`` has the score itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ibc.array_files import READ_ENDINGS
from ibc.code_layout import label_notes
from ibc.code_reading import recognise
from ibc.codes import CodeSet, load_codes, load_raw
from ibc.errors import input_error
from ibc.labels import Labels, as_labels
from ibc.retrieval.defaults import RAW_CLASSES, RAW_CODE_LENGTH, RAW_CODES
from ibc.retrieval.mutual_info import MutualInfoScore, Samples, mutual_info_score, random_codes


@dataclass
class MisInputs:
    """Codes of N images as the two estimates take them.

    values: (N, K), for "knn". signs: (N, K) int8 in {-1, 0, 1}, for "exact".
    labels: of the images. class_num: classes are the ids below it.
    """

    values: np.ndarray
    signs: np.ndarray
    labels: Labels
    class_num: int


@dataclass
class RepeatedMis:
    """Scores of K bits over R repeats.

    scores, floors: estimator -> R scores, of the codes, and of random codes of the same bit balance.
    balance: (K,) share of the images with bit 1. class_num: as asked for.
    """

    scores: dict[str, list[MutualInfoScore]]
    floors: dict[str, list[MutualInfoScore]]
    balance: np.ndarray
    class_num: int

    @property
    def classes(self) -> np.ndarray:
        """(C,) ids of the classes that occur, ascending."""
        return self._first.classes

    @property
    def official(self) -> float:
        """The number that the official program prints: the k-NN estimate, where it was asked for."""
        return float(self._first)

    @property
    def _first(self) -> MutualInfoScore:
        return next(iter(self.scores.values()))[0]

    def per_bit(self, estimator: str) -> np.ndarray:
        """(K,) largest information over the classes, mean over the repeats."""
        return _mean_per_bit(self.scores[estimator])

    def floor_per_bit(self, estimator: str) -> np.ndarray:
        """(K,) the same of the random codes."""
        return _mean_per_bit(self.floors[estimator])

    def best_class(self, estimator: str) -> np.ndarray:
        """(K,) id of the class with the largest information, mean over the repeats."""
        table = np.mean([score.table for score in self.scores[estimator]], axis=0)
        return self.classes[table.argmax(axis=0)]


def _mean_per_bit(scores: Sequence[MutualInfoScore]) -> np.ndarray:
    return np.mean([score.per_bit for score in scores], axis=0)


def load_mis_inputs(code_path: str, label_path: str | None = None, *, is_mat: bool = False, rows: int = RAW_CODES,
                    length: int = RAW_CODE_LENGTH, class_num: int | None = None,
                    multi_label: bool = False, kind: str | None = None,
                    say: Callable[[str], None] | None = None) -> MisInputs:
    """Read a codes file, or raw float32 files of ``rows`` codes of ``length`` bits and as many labels.

    label_path: the file of the labels, where it is another one; raw codes need it. is_mat: a codes file whatever its
    name is. class_num: by default the rows of the GRM, else what the labels say; RAW_CLASSES for raw files. Of raw
    codes the k-NN estimate takes the values as they are, like the official program. kind, say: as in ``load_codes``.
    Raises InputError.
    """
    if is_mat or Path(code_path).suffix.lower() in READ_ENDINGS:
        codes = load_codes(code_path, label_path, kind=kind, say=say)
        _say(label_notes(codes, multi_label), say)
        labels = codes.item_labels(multi_label, label_path or code_path)
        if class_num is None:
            class_num = labels.class_count if codes.grm is None else len(codes.grm)
        return MisInputs(codes.bits, codes.bits, labels, class_num)
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
    reading = recognise(values, code_path, length, kind)
    _say([reading.note] if reading.note else [], say)
    codes = CodeSet(reading.convert(values), raw.labels, kind=reading.kind)
    _say(label_notes(codes, multi_label), say)
    return MisInputs(values, codes.bits, as_labels(raw.labels), RAW_CLASSES if class_num is None else class_num)


def _say(notes: list[str], say: Callable[[str], None] | None) -> None:
    for note in notes:
        if say is None:
            warnings.warn(note, stacklevel=3)
        else:
            say(note)


def repeat_mis(inputs: MisInputs, estimators: Sequence[str], samples: Samples, seed: int, repeats: int) -> RepeatedMis:
    """Estimate with the seeds ``seed``, ``seed + 1``, ...; the random codes of a repeat come from its seed too."""
    scores: dict[str, list[MutualInfoScore]] = {name: [] for name in estimators}
    floors: dict[str, list[MutualInfoScore]] = {name: [] for name in estimators}
    for name in estimators:
        bits = inputs.values if name == "knn" else inputs.signs
        for turn in range(seed, seed + repeats):
            for found, codes in ((scores, bits), (floors, random_codes(bits, turn))):
                found[name].append(mutual_info_score(codes, inputs.labels, estimator=name, samples=samples, seed=turn,
                                                     class_num=inputs.class_num))
    return RepeatedMis(scores, floors, (inputs.signs > 0).mean(axis=0), inputs.class_num)
