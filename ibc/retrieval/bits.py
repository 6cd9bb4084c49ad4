"""Which bits take part in a ranking: expert bits of classes, bits of concepts, typed lists, random draws.

The rule matrix, a dissection table or text flow in; 0-based bit numbers flow out. Bits that people type, and bits in
tables, are numbered from 1, as in the official files.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ibc.csv_tables import csv_records, csv_rows
from ibc.csv_writer import cell_text
from ibc.dissection.settings import DETECTOR_IOU
from ibc.errors import input_error
from ibc.labels import as_labels
from ibc.text_files import read_text, whole_number

if TYPE_CHECKING:
    from ibc.dissection.tally import Tally


def expert_bits(grm: Any, top_k: int) -> np.ndarray:
    """(C, top_k) int64: the 0-based bits with the largest G[c, .] of each class, largest first.

    Of equal entries (many are exactly 0 or 1) the lower bit comes first, as in the paper. Raises InputError unless
    1 <= top_k <= K, and for a GRM that is not a matrix of finite numbers.
    """
    matrix = np.asarray(grm)
    if matrix.ndim != 2:
        raise input_error(None, f"a GRM of shape {matrix.shape}", "a matrix, one row a class, one column a bit")
    if not np.isfinite(matrix).all():
        raise input_error(None, "a GRM with entries that are not finite", "numbers from 0 to 1")
    check_top_k(top_k, matrix.shape[1])
    return np.argsort(-matrix, axis=1, kind="stable")[:, :top_k]


def check_top_k(top_k: int, length: int) -> None:
    """Raises InputError unless ``top_k`` bits can be chosen from ``length``."""
    if not 1 <= top_k <= length:
        raise input_error("--top_k_bits", str(top_k), f"1 to {length}, the code length")


def on_expert_bits(query_signs: np.ndarray, classes: Any, grm: Any, top_k: int) -> np.ndarray:
    """(Q, K) int8: the signs of each query on the expert bits of its class, 0 on the other bits.

    A 0 takes the bit out of the ranking. classes: a ``Labels`` of the queries, or what ``as_labels`` takes. A class
    that is not a row of the GRM leaves no bit: then all items are equally far, and the ranking is the database order,
    as in the paper. With label sets: the bits with the largest sum of the GRM rows of the query's labels, which for
    one label are the expert bits of that class. Raises InputError for a GRM that does not fit.
    """
    length = query_signs.shape[1]
    if np.shape(grm)[1:] != (length,):
        raise input_error(None, f"a GRM of shape {np.shape(grm)}", f"{length} columns, the code length")
    labels = as_labels(classes, "classes")
    if labels.multi_label:
        if labels.class_count != len(grm):
            raise input_error(None, f"{labels.class_count} label columns", f"{len(grm)}, as the GRM has rows")
        sums = labels.values @ np.asarray(grm, np.float64)
        mask = np.zeros(query_signs.shape, np.int8)
        np.put_along_axis(mask, expert_bits(sums, top_k), 1, axis=1)
        return query_signs * mask * labels.has_class[:, None]
    chosen = expert_bits(grm, top_k)
    mask = np.zeros((len(chosen) + 1, query_signs.shape[1]), np.int8)  # the last row, without a bit, is for the others
    np.put_along_axis(mask[:-1], chosen, 1, axis=1)
    rows = np.where(labels.has_class_below(len(chosen)), labels.values, len(chosen))
    return query_signs * mask[rows.astype(np.int64)]


def random_bits(length: int, count: int, draws: int, seed: int) -> list[np.ndarray]:
    """``draws`` sets of ``count`` different bits out of ``length``: 0-based, in the order of the draw."""
    random = np.random.default_rng(seed)
    return [random.permutation(length)[:count] for _ in range(draws)]


def bits_of_concepts(tally: str | os.PathLike | Tally, concepts: Iterable[str], min_iou: float = DETECTOR_IOU, *,
                     any_category: bool = False) -> np.ndarray:
    """The bits whose unit detects one of the concepts with at least ``min_iou``: ascending, 0-based, int64.

    tally: path of a dissection table (``tally.csv``), or the ``Tally`` that ``ibc.dissection.dissect`` returns. A unit
    detects the concept that it is labelled with; with ``any_category`` also its best concept of every category. Names
    match with or without Broden's endings -c and -s, with blanks for underscores, in capital or small letters. Raises
    InputError where a concept is not in the table (with similar names), and where none of its units reaches
    ``min_iou``.
    """
    if isinstance(tally, (str, os.PathLike)):
        units = _read_units(tally, any_category)
    else:
        units = _units_of(tally, any_category)
    source = tally if isinstance(tally, (str, os.PathLike)) else "tally"
    best: dict[str, float] = {}
    for _, name, iou in units:
        best[name] = max(iou, best.get(name, 0.0))
    found: set[int] = set()
    for concept in concepts:
        wanted = plain_concept(concept)
        if wanted not in best:
            raise input_error(source, f"no unit labelled '{concept}'", "a concept of the table", _near(wanted, best))
        bits = {unit - 1 for unit, name, iou in units if name == wanted and iou >= min_iou}
        if not bits:
            raise input_error(source, f"'{concept}' at IoU {best[wanted]:.3f} at best", f"{min_iou:g} or more",
                              "lower --min_iou")
        found |= bits
    return np.array(sorted(found), np.int64)


def parse_bits(text: str, length: int) -> np.ndarray:
    """0-based bits, (n,) int64, typed as ``1,2,7-9`` from 1, in the order given; a bit may come twice.

    Raises InputError for other text and for numbers beyond ``length``.
    """
    bits: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,18})(?:-([0-9]{1,18}))?\s*", part)
        if not match:
            raise input_error("bit list", f"'{part}'", "numbers from 1 with commas, as in 1,2,7-9")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= length:
            raise input_error("bit list", f"'{part.strip()}'", f"bits from 1 to {length}, the code length")
        bits += range(first - 1, last)
    return np.array(bits, np.int64)


def _read_units(tally: str | os.PathLike, any_category: bool) -> list[tuple[int, str, float]]:
    """(unit from 1, plain concept name, IoU) of a dissection table."""
    text = read_text(tally)
    columns = next(csv_rows(text, tally), (1, []))[1]
    pairs = [("label", "score")]
    if any_category:
        pairs = [(name, name.removesuffix("-label") + "-iou") for name in columns if name.endswith("-label")]
    missing = [name for name in ["unit", *(name for pair in pairs for name in pair)] if name not in columns]
    if missing or not pairs:
        raise input_error(tally, f"no column '{(missing or ['<category>-label'])[0]}'",
                          "a dissection table with unit, label and score", line=1)
    units = []
    for line, row in csv_records(text, tally, ["unit"]):
        unit = whole_number(row["unit"])
        scores = [share(row[score]) for label, score in pairs if row[label]]
        if unit is None or unit < 1 or None in scores:
            raise input_error(tally, f"unit '{row['unit']}' with a score that is not a number from 0 to 1",
                              "a number in every row", line=line)
        units += [(unit, plain_concept(cell_text(row[label])), float(row[score]))
                  for label, score in pairs if row[label]]
    return units


def share(text: Any) -> float | None:
    """A number from 0 to 1, of a text or a number; None for anything else."""
    try:
        value = float(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return value if 0 <= value <= 1 else None


def _units_of(tally: Tally, any_category: bool) -> list[tuple[int, str, float]]:
    """The same of a ``Tally``."""
    labels, scores = tally.best_label, tally.best_iou
    if not any_category:
        labels, scores = tally.label[:, None], tally.score[:, None]
    return [(unit, plain_concept(tally.names[label]), score)
            for unit, own_labels, own_scores in zip(tally.units.tolist(), labels.tolist(), scores.tolist(), strict=True)
            for label, score in zip(own_labels, own_scores, strict=True) if tally.names[label]]


def plain_concept(name: str) -> str:
    """A concept's name without Broden's ending and underscores, in small letters."""
    return re.sub(r"-[cs]$", "", name.strip().casefold()).replace("_", " ")


def _near(name: str, known: Iterable[str]) -> str:
    return near_names(name, known) or "see the label column"


def near_names(name: str, known: Iterable[str], count: int = 5) -> str:
    """"near names: a, b", at most ``count`` known names that may be meant; empty where none is near."""
    choices = list(known)
    near: Sequence[str] = difflib.get_close_matches(name, choices, count, 0.5)
    near = list(dict.fromkeys([*near, *(choice for choice in choices if name and name in choice)]))[:count]
    return f"near names: {', '.join(near)}" if near else ""
