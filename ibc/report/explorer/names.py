"""Names of the classes and attributes of the images that a page shows."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from ibc.codes import CodeSet
from ibc.data.zip_folder import file_of, read_bytes
from ibc.errors import InputError, input_error
from ibc.labels import Labels
from ibc.retrieval.attribute_names import KNOWN_NAMES, column_names
from ibc.text_files import decode_text, read_text

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


def read_vocabulary(codes: CodeSet, path: str | os.PathLike, multi_label: bool, images: str | os.PathLike,
                    class_names: str | None = None, attribute_names: str | None = None) -> Vocabulary:
    """Labels and names of a codes file.

    path: of the codes file, for messages. images: folder or zip of the images. class_names, attribute_names: files of
    one name a line; without them, classes.txt and attributes.txt among the images where they fit. Raises InputError for
    a file that has fewer class names than there are classes, or another number of attribute names.
    """
    labels = codes.item_labels(multi_label, path)
    if not multi_label and labels.has_class.any() and labels.values[labels.has_class].max() >= MOST_CLASSES:
        raise input_error(path, f"the category {labels.values[labels.has_class].max()}",
                          f"class numbers below {MOST_CLASSES}", "number the classes from 0")
    count = max(labels.class_count, 0 if codes.grm is None else len(codes.grm))
    columns = 0 if multi_label else codes.labels.shape[1] - 1
    flags = codes.labels[:, 1:] == 1 if columns else np.zeros((len(codes), 0), bool)
    return Vocabulary(labels, _class_names(class_names, images, count),
                      _attribute_names(attribute_names, images, columns), flags)


def _class_names(path: str | None, images: str | os.PathLike, count: int) -> list[str]:
    if path is not None:
        names = _lines(read_text(path, keep_bytes=True))
        if len(names) < count:
            raise input_error(path, f"{len(names)} class names", f"{count}, one for each class")
        return names
    names = _beside(images, "classes.txt")
    return names if len(names) == count else [f"class {number}" for number in range(count)]


def _attribute_names(path: str | None, images: str | os.PathLike, columns: int) -> list[str]:
    if path is not None or not columns:
        return column_names(columns, (), path) if path is not None else []
    known = next((names for names in KNOWN_NAMES.values() if len(names) == columns), ())
    return column_names(columns, known or _beside(images, "attributes.txt"))


def _beside(images: str | os.PathLike, name: str) -> list[str]:
    """The lines of a file in the folder of the images; none where it is not there."""
    file = file_of(images, name)
    try:
        return _lines(decode_text(read_bytes(file), file, keep_bytes=True))
    except (OSError, InputError):
        return []


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]
