"""The mutual information score (MIS) of binary codes: how much single bits tell about single classes.

Codes and labels flow in. For each class a balanced sample is drawn, and the mutual information (nats, at most ln 2) of
every bit with "in the class or not" is estimated. MIS is the mean over bits of the largest over classes (section 7 of
the reference). ``knn`` is the official estimate, equal to scikit-learn's ``mutual_info_classif``; ``exact`` comes from
the table of counts. As MIS takes the largest over classes, random codes do not score 0: their score is the floor.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ibc.codes import as_signs
from ibc.cores import compute_threads
from ibc.errors import input_error
from ibc.labels import Labels, as_labels
from ibc.retrieval.defaults import MIS_SAMPLES, SEED

ESTIMATORS = ("knn", "exact")
# The official program forks eight worker processes, which all inherit the same state of the random generator. So eight
# classes share one draw of the noise, the next eight the next draw, and so on.
CLASSES_A_DRAW = 8
Samples = int | str  # a number for each class, or "all"


class MutualInfoScore(float):
    """A MIS in nats: a plain number with its parts as attributes.

    classes: (C,) ids of the classes that occur. table: (C, K) float64, mutual information in nats.
    per_bit: (K,) the largest over classes. best_class: (K,) the id of that class (the first of equals).
    """

    classes: np.ndarray
    table: np.ndarray
    per_bit: np.ndarray
    best_class: np.ndarray


def mutual_info_score(
    bits: Any,
    labels: Any,
    *,
    estimator: str = "knn",
    samples: Samples = MIS_SAMPLES,
    seed: int = SEED,
    class_num: int | None = None,
) -> MutualInfoScore:
    """The MIS of N codes of K bits, with the table it comes from.

    bits: (N, K) signs -1, 0, +1, or bool; with "knn" any finite numbers, used as they are.
    labels: ``Labels``, or what ``as_labels`` takes. The positives of a class are its items, the negatives all others.
      Items without a category (99999), or with an id from ``class_num`` on, are negatives only.
    estimator: "knn" (official) or "exact".
    samples: M, taken for each class as in the official program: the first min(M/2, n) of the class, the others drawn.
      "all" takes every item, and weighs the class and the others half each ("exact" only).
    seed: of the draw of negatives and, by itself, of the noise of "knn", each ``numpy.random.RandomState(seed)``. Class
      number i, of those that occur, has draw i // 8 of the noise, as in the official program. A draw has M rows; a
      class with fewer items takes its first ones.

    Raises InputError for values that are not codes, labels of another length or missing, or no class at all.
    """
    if estimator not in ESTIMATORS:
        raise input_error(None, f"estimator '{estimator}'", " or ".join(ESTIMATORS))
    if samples == "all":
        if estimator == "knn":
            raise input_error(None, "samples 'all' with the k-nearest-neighbour estimate", "a number of samples",
                              "use the exact estimate for all items")
    elif not isinstance(samples, int) or samples < 2:
        raise input_error(None, f"samples {samples}", "at least 2, or 'all'")
    values = _finite(bits) if estimator == "knn" else as_signs("bits", bits)
    known = _checked_labels(labels, len(values))
    classes = _classes(known, class_num)
    if estimator == "knn":
        table = _knn_table(values, known, classes, int(samples), seed)
    else:
        counts, totals = _counts(values, known, classes, samples, seed)
        table = _information(counts, totals, balanced=samples == "all")
    best = table.argmax(axis=0)
    per_bit = table.max(axis=0)
    score = MutualInfoScore(per_bit.mean())
    score.classes, score.table, score.per_bit, score.best_class = classes, table, per_bit, classes[best]
    return score


def random_codes(bits: np.ndarray, seed: int) -> np.ndarray:
    """Codes that tell nothing: every column of (N, K) ``bits`` shuffled by itself, so that its balance is kept."""
    return np.random.default_rng(seed).permuted(bits, axis=0)


def class_samples(labels: Labels, classes: np.ndarray, samples: int,
                  seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of the positives and the negatives of each class, in the order of ``classes``.

    Every class takes one ``permutation(number of others)`` of the seed's stream, however few it needs.
    """
    random = np.random.RandomState(seed)
    for mine in labels.class_rows(classes):
        positives = mine[: samples // 2]
        drawn = random.permutation(len(labels) - len(mine))[: samples - len(positives)]
        other = np.ones(len(labels), bool)
        other[mine] = False
        yield positives, np.flatnonzero(other)[drawn]


def _knn_table(values: np.ndarray, labels: Labels, classes: np.ndarray, samples: int,
               seed: int) -> np.ndarray:
    from ibc.retrieval.engine.knn_kernel import knn_information  # noqa: PLC0415 - the exact estimate needs no numba

    digamma = np.concatenate([[np.nan, 0.0], np.cumsum(1 / np.arange(1, samples))]) - np.euler_gamma
    drawn = list(class_samples(labels, classes, samples, seed))
    stream = np.random.RandomState(seed)
    noise = [stream.standard_normal((samples, values.shape[1])) for _ in range(0, len(drawn), CLASSES_A_DRAW)]

    def one_class(number: int) -> np.ndarray:
        rows = drawn[number]
        taken, positives = np.concatenate(rows), len(rows[0])
        scaled = _scaled(values[taken], noise[number // CLASSES_A_DRAW][: len(taken)].T)
        scaled[:, :positives].sort(axis=1)
        scaled[:, positives:].sort(axis=1)
        return knn_information(scaled, positives, digamma)

    with ThreadPoolExecutor(compute_threads()) as pool:
        return np.array(list(pool.map(one_class, range(len(drawn)))))


def _scaled(values: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """(M, K) values as (K, M), scaled to deviation 1 and with noise, in scikit-learn's order of operations.

    The noise is so small that a last digit decides which neighbour is nearer. scikit-learn sums along contiguous
    columns; the layout here keeps every rounding as it is there.
    """
    scaled = np.array(values.T, np.float64, order="C")  # always a copy
    deviation = scaled.std(axis=1)
    deviation[deviation < 10 * np.finfo(np.float64).eps] = 1
    scaled /= deviation[:, None]
    size = np.maximum(1, np.abs(scaled).mean(axis=1))
    scaled += (1e-10 * size)[:, None] * noise
    return scaled


def _counts(signs: np.ndarray, labels: Labels, classes: np.ndarray, samples: Samples,
            seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts (C, 2, 3, K) of items in the class and outside, by sign -1, 0, +1 of each bit; their totals (C, 2)."""
    flags = [signs > 0] if not (signs == 0).any() else [signs > 0, signs == 0]
    counts = np.zeros((len(classes), 2, 3, signs.shape[1]))
    totals = np.zeros((len(classes), 2))
    if samples == "all":
        for row, mine in enumerate(labels.class_rows(classes)):
            totals[row] = len(mine), len(labels) - len(mine)
            for symbol, flag in zip((2, 1), flags, strict=False):
                counts[row, 0, symbol] = flag[mine].sum(axis=0)
                counts[row, 1, symbol] = -counts[row, 0, symbol]
        for symbol, flag in zip((2, 1), flags, strict=False):
            counts[:, 1, symbol] += flag.sum(axis=0)
    else:
        for row, rows in enumerate(class_samples(labels, classes, int(samples), seed)):
            for side, taken in enumerate(rows):
                totals[row, side] = len(taken)
                for symbol, flag in zip((2, 1), flags, strict=False):
                    counts[row, side, symbol] = flag[taken].sum(axis=0)
    counts[:, :, 0] = totals[:, :, None] - counts[:, :, 1] - counts[:, :, 2]
    return counts, totals


def _information(counts: np.ndarray, totals: np.ndarray, balanced: bool) -> np.ndarray:
    """(C, K) mutual information in nats, from ``_counts``. balanced: class and rest weigh half each."""
    weight = np.where(totals > 0, 0.5, 0) if balanced else totals
    weight = weight / weight.sum(axis=1, keepdims=True)  # (C, 2): probability of class and rest
    joint = counts * (weight / np.maximum(totals, 1))[:, :, None, None]
    independent = joint.sum(axis=1, keepdims=True) * weight[:, :, None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(joint > 0, joint * np.log(joint / independent), 0)
    return np.maximum(terms.sum(axis=(1, 2)), 0)


def _finite(bits: Any) -> np.ndarray:
    values = np.asarray(bits)
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        raise input_error(None, f"bits of shape {values.shape} and type {values.dtype}", "a matrix, one row an image")
    if values.dtype.kind in "bu":
        return as_signs("bits", values)
    if not np.isfinite(values).all():
        raise input_error(None, "a code that is not a finite number", "finite numbers", "extract the codes again")
    return values


def _checked_labels(labels: Any, count: int) -> Labels:
    known = as_labels(labels)
    if len(known) != count:
        raise input_error(None, f"labels of shape {known.values.shape}", f"{count} category ids, one for each code")
    return known if known.multi_label else Labels(known.values.astype(np.int64))


def _classes(labels: Labels, class_num: int | None) -> np.ndarray:
    classes = labels.classes(class_num)
    if not len(classes):
        among = "" if class_num is None else f" from 0 to {class_num - 1}"
        raise input_error(None, f"no item with a category{among} among {len(labels)}", "at least one")
    return classes
