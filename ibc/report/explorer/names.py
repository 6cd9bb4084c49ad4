"""Names of the classes and attributes of the images that a page shows."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from ibc.codes import CodeSet
from ibc.errors import input_error
from ibc.labels import Labels
from ibc.retrieval.attribute_names import KNOWN_NAMES, column_names
from ibc.text_files import read_text

MOST_CLASSES = 65536  # a category id beyond it is no class number but some other code


@dataclass(frozen=True)
class Vocabulary:
    """What the images of a codes file are labelled with.

    labels: of the N images. classes: C names, by class number. attributes: A names. flags: (N, A) bool, has it.
    """

    labels: Labels
    classes: list[str]
    attributes: list[str]
    flags: np.ndarray


def read_vocabulary(codes: CodeSet, path: str | os.PathLike, multi_label: bool, class_names: str | None = None,
                    attribute_names: str | None = None) -> Vocabulary:
    """Labels and names of a codes file.

    path: of the codes file, for messages. class_names, attribute_names: files of one name a line. Raises InputError for
    a file that has fewer class names than there are classes, or another number of attribute names.
    """
    labels = codes.item_labels(multi_label, path)
    if not multi_label and labels.has_class.any() and labels.values[labels.has_class].max() >= MOST_CLASSES:
        raise input_error(path, f"the category {labels.values[labels.has_class].max()}",
                          f"class numbers below {MOST_CLASSES}", "number the classes from 0")
    count = max(labels.class_count, 0 if codes.grm is None else len(codes.grm))
    columns = 0 if multi_label else codes.labels.shape[1] - 1
    known = next((names for names in KNOWN_NAMES.values() if len(names) == columns), ())
    attributes = column_names(columns, known, attribute_names) if columns or attribute_names else []
    flags = codes.labels[:, 1:] == 1 if columns else np.zeros((len(codes), 0), bool)
    return Vocabulary(labels, _class_names(class_names, count), attributes, flags)


def _class_names(path: str | None, count: int) -> list[str]:
    if path is None:
        return [f"class {number}" for number in range(count)]
    names = [line.strip() for line in read_text(path, keep_bytes=True).split("\n") if line.strip()]
    if len(names) < count:
        raise input_error(path, f"{len(names)} class names", f"{count}, one for each class")
    return names
