"""``ibc prepare imagenet150k``: the subset of ILSVRC2012 with attributes, by its published definition.

The definition, dataset_info.mat, holds names, classes and attributes of 148,000 training and 2,000 test images.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ibc.datasets.building.ilsvrc import SYNSET, VAL_NUM, Ilsvrc, describe_ilsvrc, find_ilsvrc
from ibc.datasets.building.matlab import load_mat, strings, whole_numbers
from ibc.datasets.building.options import BuildOptions, add_sources_flag, require_sources
from ibc.datasets.building.plan import PreparationPlan
from ibc.datasets.data_set import image_set
from ibc.errors import input_error
from ibc.files import sha256
from ibc.labels import MISSING, NEGATIVE, NO_CATEGORY

CLASS_UNKNOWN = 2000  # marker of dataset_info.mat: attributes only
_NAME = re.compile(r"[^/\0\r\n]+(/[^/\0\r\n]+)*")
_DEFINITION = "dataset_info.mat"
_VARIABLES = ("name_train", "name_test", "label_train", "label_test", "attribute_train", "attribute_test", "info")


@dataclass(frozen=True, kw_only=True)
class ImageNet150kOptions(BuildOptions):
    """source: archives and folders with the images. info: dataset_info.mat; None: look for it in the source folders.

    recover_classes: take the class of an attribute-only image from the synset in its name.
    """

    source: list[str] = field(default_factory=list)
    info: str | None = None
    recover_classes: bool = False


def _add_flags(parser: argparse.ArgumentParser) -> None:
    add_sources_flag(parser)
    parser.add_argument("--info", metavar="MAT", help="dataset_info.mat (default: that in a --source folder)")
    parser.add_argument("--recover_classes", action="store_true",
                        help="take the class of attribute-only images from the synset in their names")


@dataclass
class Definition:
    """The content of dataset_info.mat.

    synsets: the synset of each class id. attributes: their names. train, test: image names without ending, in training
    as "synset/name". train_labels, test_labels: (N,) int64 class ids, 2000 where unknown. train_marks, test_marks:
    (N, A) int64 attributes: 1 yes, 0 or -1 no, 2 missing.
    """

    synsets: list[str]
    attributes: list[str]
    train: list[str]
    test: list[str]
    train_labels: np.ndarray
    test_labels: np.ndarray
    train_marks: np.ndarray
    test_marks: np.ndarray

    def classes_by_name(self) -> np.ndarray:
        """(N,) int64 class ids of the training images, from the synset in their names."""
        ids = {synset: number for number, synset in enumerate(self.synsets)}
        return np.array([ids[name.split("/")[0]] for name in self.train])


def read_definition(path: str | os.PathLike) -> Definition:
    """Read and check dataset_info.mat; the synset of a class is that of the names with its label.

    Raises InputError where names, labels and attributes differ in number or contradict each other.
    """
    content = load_mat(path, path, _VARIABLES)
    names = {part: [os.path.splitext(name)[0] for name in strings(content[f"name_{part}"], path)]
             for part in ("train", "test")}
    labels = {part: whole_numbers(content[name := f"label_{part}"], path, name, 0, CLASS_UNKNOWN).ravel()
              for part in names}
    marks = {part: whole_numbers(content[name := f"attribute_{part}"], path, name, NEGATIVE, MISSING) for part in names}
    attributes = strings(content["info"], path)
    for name in (name for listed in names.values() for name in listed):
        if not _NAME.fullmatch(name) or ".." in name.split("/"):
            raise input_error(path, f"name '{name}'", "names of images, such as n01440764/n01440764_10026.JPEG")
    for part, listed in names.items():
        if len(labels[part]) != len(listed) or marks[part].shape != (len(listed), len(attributes)):
            raise input_error(path, f"{len(listed)} {part} names, {len(labels[part])} labels, attributes of shape "
                              f"{marks[part].shape}", f"one label and {len(attributes)} attributes a name")
    synset_of: dict[int, str] = {}
    class_of: dict[str, int] = {}
    for name, label in zip(names["train"], labels["train"].tolist(), strict=True):
        synset = name.split("/")[0]
        if not SYNSET.fullmatch(synset):
            raise input_error(path, f"name '{name}'", "n<8 digits>/<image>")
        if label != CLASS_UNKNOWN and (synset_of.setdefault(label, synset), class_of.setdefault(synset, label)) != (
                synset, label):
            raise input_error(path, f"class {label} for '{name}'", f"class {class_of[synset]}, as other names of it")
    if sorted(synset_of) != list(range(len(synset_of))) or not {name.split("/")[0] for name in names["train"]} <= set(
            class_of):
        raise input_error(path, "classes without a labelled image", "each of 0, 1, 2, ... at least once")
    if labels["test"].max(initial=0) >= len(synset_of):
        raise input_error(path, f"class {labels['test'].max()} in label_test",
                          f"classes from 0 to {len(synset_of) - 1}")
    return Definition([synset_of[label] for label in range(len(synset_of))], attributes, names["train"], names["test"],
                      labels["train"], labels["test"], marks["train"], marks["test"])


def plan_imagenet150k(options: ImageNet150kOptions) -> PreparationPlan:
    """train.txt, test.txt (2,000 images, for retrieval) and test_mis.txt (all validation images, for MIS).

    Without sources, which ``lists_only`` allows, only the lists are planned. Raises InputError without a definition,
    and where definition and devkit disagree.
    """
    if not options.lists_only:
        require_sources(options.source, "imagenet150k")
    info = options.info or _find_definition(options.source)
    definition = read_definition(info)
    known = np.where(definition.train_labels == CLASS_UNKNOWN, NO_CATEGORY, definition.train_labels)
    labels = definition.classes_by_name() if options.recover_classes else known
    source = find_ilsvrc(options.source, train=set(definition.train))
    plan = PreparationPlan(
        "imagenet150k", rule="names, classes and attributes of dataset_info.mat; class 2000 (unknown) is "
        + ("taken from the synset in the name" if options.recover_classes else f"{NO_CATEGORY}"),
        classes=definition.synsets, attributes=definition.attributes)
    plan.lists["train.txt"] = _rows("train", definition.train, labels, definition.train_marks)
    plan.lists["test.txt"] = _rows("val", definition.test, definition.test_labels, definition.test_marks)
    marks = dict(zip(definition.test, definition.test_marks.tolist(), strict=True))
    _add_mis_list(plan, source, definition, marks)
    if options.source:
        _find_images(plan, source)
    describe_ilsvrc(plan, source, options.source)
    plan.facts["definition"] = {"file": os.path.basename(info), "sha256": sha256(info)}
    unknown = definition.train_labels == CLASS_UNKNOWN
    marked = (definition.train_marks != MISSING).any(axis=1)
    plan.facts["train_parts"] = {"class_and_attributes": int((~unknown & marked).sum()),
                                 "attributes_only": int((unknown & marked).sum()),
                                 "class_only": int((~unknown & ~marked).sum())}
    return plan


def _find_definition(sources: Sequence[str]) -> str:
    for source in sources:
        if found := sorted(Path(source).rglob(_DEFINITION)):
            return str(found[0])
    raise input_error("--info", "nothing", f"the published {_DEFINITION} of ImageNet-150K",
                      "name it, or put it into a --source folder")


def _rows(folder: str, names: list[str], labels: np.ndarray, marks: np.ndarray) -> list[tuple[str, Sequence[int]]]:
    table = np.column_stack([labels, marks]).tolist()
    return [(f"{folder}/{name}", row) for name, row in zip(names, table, strict=True)]


def _find_images(plan: PreparationPlan, source: Ilsvrc) -> None:
    """Enter where each listed image is. An image that no source has goes from the lists to ``plan.skipped``."""
    absent = set()
    for file, rows in plan.lists.items():
        for stem, _ in rows:
            split, name = stem.split("/", 1)
            member = (source.train if split == "train" else source.val).get(name)
            if member is None:
                absent.add(stem)
            else:
                plan.images[stem] = member
        plan.lists[file] = [row for row in rows if row[0] not in absent]
    plan.skipped = [(f"{stem.split('/', 1)[1]}.JPEG", "not in the source") for stem in sorted(absent)]


def _add_mis_list(plan: PreparationPlan, source: Ilsvrc, definition: Definition, marks: dict[str, list[int]]) -> None:
    """Plan a list of all validation images with their class; only the 2,000 test images have attributes."""
    ids = {synset: number for number, synset in enumerate(definition.synsets)}
    classes = {name: ids[synset] for name, synset in source.val_synsets.items() if synset in ids}
    if not classes:
        plan.notes.append("test_mis.txt (all validation images, for MIS) is not written: their classes are in "
                          "ILSVRC2012_devkit_t12.tar.gz; give it as one more --source")
        return
    for name, label in zip(definition.test, definition.test_labels.tolist(), strict=True):
        if classes.get(name, label) != label:
            raise input_error(_DEFINITION, f"class {label} for {name}", f"{classes[name]}, as in the source",
                              "check that both are those of ILSVRC2012")
    blank = [MISSING] * len(definition.attributes)
    plan.lists["test_mis.txt"] = [(f"val/{name}", [classes[name], *marks.get(name, blank)]) for name in sorted(classes)]
    if len(classes) != VAL_NUM:
        plan.notes.append(f"test_mis.txt has {len(classes)} of the {VAL_NUM} validation images")


DATA_SET = image_set(summary="ImageNet-150K, by its published dataset_info.mat",
                     example="datasets/imagenet --info dataset_info.mat --source ILSVRC2012_img_train.tar "
                             "--source ILSVRC2012_img_val.tar --source ILSVRC2012_devkit_t12.tar.gz",
                     options=ImageNet150kOptions, add_flags=_add_flags, plan=plan_imagenet150k)
