"""Whether the matrices of a codes file stand as they should: rows are images, columns are bits or labels.

Codes, labels and rule matrix as a file holds them flow in. They flow out with what the shapes prove put right, and with
notes for the user. What the labels look like (ids from 1, one-hot rows) is only said: no shape proves it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from ibc.errors import input_error
from ibc.labels import NEGATIVE, NO_CATEGORY

if TYPE_CHECKING:
    from ibc.codes import CodeSet

FITTED_ROWS = 20_000  # about so many codes say how well the rule matrix fits
LIKE_SETS = "lab looks like one 0/1 column for each class: if it is, give --multi_label"


def upright(codes: np.ndarray, labels: np.ndarray, grm: np.ndarray | None, length: int | None,
            code_path: str | os.PathLike, label_path: str | os.PathLike
            ) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Codes (N, K) and labels (N, L) with one row an image, and notes on what was transposed.

    A matrix is transposed where only that gives as many rows of codes as of labels. length: K, where the file says it.
    Raises InputError where nothing fits.
    """
    rows, columns = codes.shape
    if len(labels) == rows:
        return codes, labels, []
    if labels.shape[1] == rows and len(labels):
        vector = len(labels) == 1  # MATLAB and scipy store a plain vector as one row
        return codes, labels.T, [] if vector else [_transposed(label_path, "lab", labels.shape, "image")]
    may_turn = rows > 0 and len(labels) > 0 and length in (None, rows) and (grm is None or rows in grm.shape)
    if may_turn and columns in labels.shape:
        notes = [_transposed(code_path, "binary_codes", codes.shape, "image")]
        if len(labels) != columns:
            notes += [] if len(labels) == 1 else [_transposed(label_path, "lab", labels.shape, "image")]
            labels = labels.T
        return codes.T, labels, notes
    raise input_error(label_path, f"{len(labels)} rows in lab", f"{rows}, one for each row of binary_codes")


def upright_grm(grm: np.ndarray, length: int, path: str | os.PathLike) -> tuple[np.ndarray, list[str]]:
    """The rule matrix with one column a bit, and notes. Raises InputError for a matrix of another shape."""
    if grm.shape[1] == length:
        return grm, []
    if len(grm) == length:
        return grm.T, [_transposed(path, "GRM", grm.shape, "class")]
    raise input_error(path, f"a GRM with {grm.shape[1]} columns", f"{length}, the code length")


def _transposed(path: str | os.PathLike, key: str, shape: tuple[int, ...], row: str) -> str:
    return f"{path}: {key} of {shape[0]} x {shape[1]} is read transposed, one row {row}"


def label_notes(codes: CodeSet, multi_label: bool, ids: np.ndarray | None = None) -> list[str]:
    """What a user should know of the labels: one-hot rows where ids are expected, class ids that begin at 1.

    ids: the category ids of all images of an evaluation, where there are more than those of ``codes``.
    """
    if multi_label:
        return []
    if codes.looks_multi_label or _one_hot(codes.labels):
        return [LIKE_SETS]
    ids = codes.labels[:, 0] if ids is None else ids
    known = np.unique(ids[ids != NO_CATEGORY])
    if len(known) < 2 or known[0] != 1:
        return []
    note = "no image is of class 0, the lowest is 1"
    if codes.grm is None:
        return [f"{note}: ids are counted from 0 here; where yours begin at 1 (MATLAB), subtract 1 from lab"]
    plain, shifted = _fit(codes, 0), _fit(codes, 1)
    if known[-1] < len(codes.grm) and not shifted > plain:
        return []
    return [f"{note}, and the rows of the GRM fit class ids that begin at 1 (MATLAB): subtract 1 from lab, else class "
            "c has the expert bits of the class after it"]


def _one_hot(labels: np.ndarray) -> bool:
    """Whether each row holds exactly one 1 beside 0 or -1, in the first column (the category) and in others."""
    if labels.shape[1] < 2 or len(labels) < 3 or not np.isin(labels, (NEGATIVE, 0, 1)).all():
        return False
    ones = labels == 1
    used = ones.any(axis=0)
    return bool((ones.sum(axis=1) == 1).all() and used[0] and used[1:].any())


def _fit(codes: CodeSet, first: int) -> float:
    """How well the rule matrix fits the codes where class ids begin at ``first``: mean correlation of GRM row and mean
    code of a class, over the classes that have a row."""
    assert codes.grm is not None
    step = max(1, len(codes) // FITTED_ROWS)
    ids, values = codes.labels[::step, 0], codes.binary_codes[::step]
    found = []
    for label in np.unique(ids):
        row = label - first
        if 0 <= row < len(codes.grm) and row == int(row):
            mean = values[ids == label].mean(axis=0, dtype=np.float64)
            pair = codes.grm[int(row)].astype(np.float64) - codes.grm[int(row)].mean(), mean - mean.mean()
            size = np.sqrt((pair[0] ** 2).sum() * (pair[1] ** 2).sum())
            found.append(float((pair[0] * pair[1]).sum() / size) if size > 0 else 0.0)
    return float(np.mean(found)) if found else -1.0
