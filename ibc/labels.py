"""Labels of a codes file as retrieval takes them: one category an item, or a set of labels an item.

A ``CodeSet`` flows in; (N,) int64 category ids, or (N, L) bool label sets, flow out. Relevant to a query
are the items of its category, or those that share a label with it. What else depends on that is here too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ibc.errors import input_error

if TYPE_CHECKING:
    from ibc.codes import CodeSet

# Official values of the label columns of list files and codes files.
NO_CATEGORY = 99999  # in column 0: the image has no category
NEGATIVE = -1        # of an attribute or label: no; list files may write it for 0
MISSING = 2          # of an attribute or label: nobody said whether the image has it
NO_TARGET = -100     # training target of an image without category: the losses leave it out

SET_VALUES = (NEGATIVE, 0, 1, MISSING, NO_CATEGORY)  # what a label column may hold; 1 alone says yes
RELEVANCE = {False: "same category", True: "any shared label"}


def item_labels(codes: CodeSet, multi_label: bool, path: str | os.PathLike | None = None) -> np.ndarray:
    """(N,) int64 ids of label column 0, or, with ``multi_label``, (N, L) bool: every column is a class, 1 says yes.

    Raises InputError, naming ``path``, for labels that are not whole numbers, or not 0 and 1 in one column a class.
    """
    if not multi_label:
        column = codes.labels[:, 0]
        odd = ~np.isfinite(column) | (column != np.floor(column))
        if odd.any():
            row = int(np.flatnonzero(odd)[0])
            raise input_error(path, f"the category {column[row]:g} in row {row + 1} of lab", "a whole number",
                              f"{NO_CATEGORY} says that an image has no category")
        return codes.categories
    width = codes.labels.shape[1]
    if width == 1:
        raise input_error(path, "one label column with --multi_label", "one column of 0 and 1 for each class")
    if codes.grm is not None and len(codes.grm) != width:
        raise input_error(path, f"{width} label columns with --multi_label", f"{len(codes.grm)}, as the GRM has rows",
                          "leave --multi_label out where column 1 is a category and the others are attributes")
    return label_sets(codes.labels, "lab", path)


def label_sets(labels: np.ndarray, name: str, path: str | os.PathLike | None = None) -> np.ndarray:
    """(N, L) bool from 0 and 1 (2, missing, is not a 1); a row that begins with 99999 has no label, as in training.

    Raises InputError for other values.
    """
    odd = ~np.isin(labels, SET_VALUES)
    if odd.any():
        row, column = np.argwhere(odd)[0]
        raise input_error(path, f"the label {labels[row, column]} in row {row + 1} of {name} with {labels.shape[1]} "
                          "columns", "0 or 1 in every column (2: missing)",
                          "category ids are column 0 alone: labels[:, 0]" if path is None else "")
    return np.asarray((labels == 1) & (labels[:, :1] != NO_CATEGORY))


def looks_multi_label(codes: CodeSet) -> bool:
    """True where nothing in ``lab`` speaks against one 0/1 column for each class."""
    return (codes.grm is not None and codes.labels.shape[1] == len(codes.grm) > 2 and len(codes) > 0
            and bool(np.isin(codes.labels, (-1, 0, 1)).all()))


def has_class(labels: np.ndarray) -> np.ndarray:
    """(N,) bool, whether an item has a category, or any label."""
    return np.asarray(labels.any(axis=1) if labels.ndim == 2 else labels != NO_CATEGORY)


def class_sizes(labels: np.ndarray) -> dict[int, int]:
    """Class id -> number of its items, for the classes that occur (99999 is one)."""
    if labels.ndim == 2:
        counts = labels.sum(axis=0)
        return {int(label): int(counts[label]) for label in np.flatnonzero(counts)}
    ids, counts = np.unique(labels, return_counts=True)
    return dict(zip(ids.tolist(), counts.tolist(), strict=True))


def class_rows(labels: np.ndarray, classes: np.ndarray) -> Iterator[np.ndarray]:
    """For each of ``classes`` the rows of its items, ascending."""
    if labels.ndim == 2:
        yield from (np.flatnonzero(labels[:, label]) for label in classes)
        return
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    for label in classes:
        yield order[np.searchsorted(ordered, label, side="left") : np.searchsorted(ordered, label, side="right")]


def label_texts(labels: np.ndarray) -> list[str]:
    """What each item is, for a table: its category, or its labels with semicolons."""
    if labels.ndim == 2:
        return [";".join(map(str, np.flatnonzero(row))) for row in labels]
    return [str(label) for label in labels.tolist()]
