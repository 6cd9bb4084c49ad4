"""What images are: one category an image, or a set of labels an image.

The label columns of a list file or a codes file flow in. ``Labels`` flows out. It answers every question whose
answer depends on the kind of label: which images have a class, which images belong to a class, how to name the labels
of an image. Relevant to a query are the images of its category, or the images that share a label with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ibc.errors import input_error

# Official values of the label columns of list files and codes files.
NO_CATEGORY = 99999  # in column 0: the image has no category
NEGATIVE = -1        # of an attribute or label: no; list files may write it for 0
MISSING = 2          # of an attribute or label: nobody said whether the image has it
NO_TARGET = -100     # training target of an image without category: the losses leave it out

LARGEST_ID = 2**31 - 1  # of a category
SET_VALUES = (NEGATIVE, 0, 1, MISSING, NO_CATEGORY)  # what a column of a label set may hold; 1 alone says yes


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of N images. ``values`` is one of

    (N,) category ids, NO_CATEGORY (99999) where an image has none; or
    (N, C) bool label sets, one column for each class, True where the image has the label.

    ``Labels.from_columns`` makes them from a file's columns, ``as_labels`` from a caller's array.
    """

    values: np.ndarray

    @classmethod
    def from_columns(cls, columns: np.ndarray, multi_label: bool, class_count: int | None = None,
                     path: str | os.PathLike | None = None) -> Labels:
        """Labels from the (N, L) columns of a codes file or a list file.

        Without ``multi_label`` column 0 is the category, and the other columns are attributes. With it every column
        is a class, and there are ``class_count`` of them if that is known. ``path`` is for error messages.
        Raises InputError for a category that is not a whole number, and for label sets that are not 0 and 1 in one
        column for each class.
        """
        if not multi_label:
            column = columns[:, 0]
            odd = ~np.isfinite(column) | (column != np.floor(column)) | (np.abs(column) > LARGEST_ID)
            if odd.any():
                row = int(np.flatnonzero(odd)[0])
                raise input_error(path, f"the category {column[row]:g} in row {row + 1} of lab", "a whole number",
                                  f"{NO_CATEGORY} says that an image has no category")
            return cls(column.astype(np.int64))
        width = columns.shape[1]
        if width == 1:
            raise input_error(path, "one label column with --multi_label", "one column of 0 and 1 for each class")
        if class_count is not None and class_count != width:
            raise input_error(path, f"{width} label columns with --multi_label", f"{class_count}, as the GRM has rows",
                              "leave --multi_label out where column 1 is a category and the others are attributes")
        return cls(_label_sets(columns, "lab", path))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.values)

    def __getitem__(self, rows: Any) -> Labels:
        """Labels of some of the images, by an index array or a slice."""
        return Labels(self.values[rows])

    @property
    def multi_label(self) -> bool:
        """Whether an image has a set of labels instead of one category."""
        return self.values.ndim == 2

    @property
    def relevance(self) -> str:
        """In words, which images are relevant to a query."""
        return "any shared label" if self.multi_label else "same category"

    @property
    def has_class(self) -> np.ndarray:
        """(N,) bool, whether an image has a category, or any label."""
        return np.asarray(self.values.any(axis=1) if self.multi_label else self.values != NO_CATEGORY)

    @property
    def class_count(self) -> int:
        """Number of label columns, or the largest category id plus 1 (0 where no image has a category)."""
        if self.multi_label:
            return self.values.shape[1]
        return int(self.values[self.has_class].max(initial=-1)) + 1

    def has_class_below(self, count: int) -> np.ndarray:
        """(N,) bool, whether an image has a category from 0 to ``count - 1``, or any label."""
        return self.has_class if self.multi_label else (self.values >= 0) & (self.values < count)

    def contains(self, ids: np.ndarray) -> np.ndarray:
        """(N,) bool, whether class ``ids[i]`` is the category of image i or one of its labels; -1 never is."""
        if self.multi_label:
            return self.values[np.arange(len(self)), ids] & (ids >= 0)
        return self.values == ids

    def classes(self, count: int | None = None) -> np.ndarray:
        """(C,) ids of the classes that occur, ascending; only ids from 0 to ``count - 1`` where it is given."""
        ids = np.flatnonzero(self.values.any(axis=0)) if self.multi_label else np.unique(self.values)
        return ids[ids != NO_CATEGORY] if count is None else ids[(ids >= 0) & (ids < count)]

    def class_sizes(self) -> dict[int, int]:
        """Class id -> number of its images, for the ids that occur (99999 is one of them)."""
        if self.multi_label:
            counts = self.values.sum(axis=0)
            return {int(label): int(counts[label]) for label in np.flatnonzero(counts)}
        ids, counts = np.unique(self.values, return_counts=True)
        return dict(zip(ids.tolist(), counts.tolist(), strict=True))

    def class_means(self, scores: np.ndarray) -> dict[int, float]:
        """Class id -> mean of the (N,) ``scores`` over its images, for the ids that occur (99999 is one of them)."""
        if self.multi_label:
            counts, sums = self.values.sum(axis=0), scores @ self.values
            return {int(label): float(sums[label] / counts[label]) for label in np.flatnonzero(counts)}
        ids, places = np.unique(self.values.astype(np.int64), return_inverse=True)
        means = np.bincount(places, scores) / np.bincount(places)
        return dict(zip(ids.tolist(), means.tolist(), strict=True))

    def class_rows(self, classes: np.ndarray) -> Iterator[np.ndarray]:
        """For each of ``classes`` the rows of its images, ascending."""
        if self.multi_label:
            yield from (np.flatnonzero(self.values[:, label]) for label in classes)
            return
        order = np.argsort(self.values, kind="stable")
        ordered = self.values[order]
        for label in classes:
            yield order[np.searchsorted(ordered, label, side="left") : np.searchsorted(ordered, label, side="right")]

    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        """All class ids in one row: image i has ``ids[starts[i] : starts[i + 1]]``.

        Returns starts, (N + 1,) int64, and ids. An image without class, or with a negative category, has none.
        """
        if self.multi_label:
            counts, ids = self.values.sum(axis=1), np.nonzero(self.values)[1]
        else:
            counts = self.has_class & (self.values >= 0)
            ids = self.values[counts]
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), ids

    def texts(self) -> list[str]:
        """For a table: the category of each image, or its labels with semicolons between them."""
        if self.multi_label:
            return [";".join(map(str, np.flatnonzero(row))) for row in self.values]
        return [str(label) for label in self.values.tolist()]


def as_labels(labels: Any, name: str = "labels") -> Labels:
    """Labels from what a caller has: a ``Labels``, or an array of numpy or torch.

    labels: (N,) or (N, 1) numbers, one a category; or (N, C) of 0 and 1, where 2 (missing) and -1 are not 1. ``name``
    is for error messages. Raises InputError for other shapes and values.
    """
    if isinstance(labels, Labels):
        return labels
    values = as_array(labels)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2) or values.dtype.kind not in "biuf":
        raise input_error(None, f"{name} of shape {values.shape} and type {values.dtype}",
                          "one number an image, or one row of 0 and 1 an image")
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise input_error(None, f"a missing label in row {int(np.argwhere(np.isnan(values))[0, 0]) + 1} of {name}",
                          "a number", f"{NO_CATEGORY} says that an image has no category")
    if values.ndim == 1 or values.dtype == bool:
        return Labels(values)
    return Labels(_label_sets(values, name))


def as_array(values: Any) -> np.ndarray:
    """A numpy array of what a caller has: an array, a list, or a torch tensor on any device."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _label_sets(columns: np.ndarray, name: str, path: str | os.PathLike | None = None) -> np.ndarray:
    """(N, C) bool, True where a column is exactly 1; a row that begins with 99999 has no label, as in training.

    Raises InputError for values that are not in ``SET_VALUES``.
    """
    odd = ~np.isin(columns, SET_VALUES)
    if odd.any():
        row, column = np.argwhere(odd)[0]
        raise input_error(path, f"the label {columns[row, column]} in row {row + 1} of {name} with "
                          f"{columns.shape[1]} columns", "0 or 1 in every column (2: missing)",
                          "category ids are column 0 alone: labels[:, 0]" if path is None else "")
    return np.asarray((columns == 1) & (columns[:, :1] != NO_CATEGORY))
