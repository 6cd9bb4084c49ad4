"""``prepare imagenet150k`` and ``imagenet100``: the paper's two subsets of ILSVRC2012.

ImageNet-150K follows its published definition, dataset_info.mat: names, classes and attributes of
148,000 training and 2,000 test images.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ibc.datasets.prepare.ilsvrc import SYNSET, VAL_NUM, Ilsvrc, find_ilsvrc
from ibc.datasets.prepare.matlab import load_mat, strings
from ibc.datasets.prepare.plan import Plan, describe_sources, seeded_order
from ibc.errors import input_error
from ibc.files import sha256
from ibc.labels import MISSING, NO_CATEGORY

CLASS_UNKNOWN = 2000  # marker of dataset_info.mat: attributes only
_DEFINITION = "dataset_info.mat"
_VARIABLES = ("name_train", "name_test", "label_train", "label_test", "attribute_train", "attribute_test", "info")


@dataclass
class Definition:
    """dataset_info.mat. synsets: of the class ids. train, test: names without ending.

    train_labels, test_labels: (N,) class ids, 2000 where unknown. train_marks, test_marks: (N, A) in -1, 0, 1, 2.
    """

    synsets: list[str]
    attributes: list[str]
    train: list[str]
    test: list[str]
    train_labels: np.ndarray
    test_labels: np.ndarray
    train_marks: np.ndarray
    test_marks: np.ndarray

    def recovered(self) -> np.ndarray:
        """(N,) class ids of the training images from the synset in their names."""
        ids = {synset: number for number, synset in enumerate(self.synsets)}
        return np.array([ids[name.split("/")[0]] for name in self.train])


def read_definition(path: str | os.PathLike) -> Definition:
    """Read and check dataset_info.mat; the synset of a class is that of the names labelled with it."""
    content = load_mat(path, path, _VARIABLES)
    names = {part: [os.path.splitext(name)[0] for name in strings(content[f"name_{part}"])]
             for part in ("train", "test")}
    labels = {part: content[f"label_{part}"].ravel().astype(np.int64) for part in names}
    marks = {part: content[f"attribute_{part}"].astype(np.int64) for part in names}
    attributes = strings(content["info"])
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
    return Definition([synset_of[label] for label in range(len(synset_of))], attributes, names["train"], names["test"],
                      labels["train"], labels["test"], marks["train"], marks["test"])


def plan_imagenet150k(sources: Sequence[str], info: str | None, *, recover_classes: bool) -> Plan:
    """train.txt, test.txt (2,000 images, for retrieval) and test_mis.txt (all validation images, for MIS).

    Without sources the lists alone are planned. ``info``: dataset_info.mat, None: look into the source folders.
    Raises InputError where definition and devkit disagree.
    """
    info = info or _find_definition(sources)
    definition = read_definition(info)
    known = np.where(definition.train_labels == CLASS_UNKNOWN, NO_CATEGORY, definition.train_labels)
    labels = definition.recovered() if recover_classes else known
    source = find_ilsvrc(sources, train=set(definition.train))
    plan = Plan("imagenet150k", rule="names, classes and attributes of dataset_info.mat; class 2000 (unknown) is "
                + ("taken from the synset in the name" if recover_classes else f"{NO_CATEGORY}"),
                classes=definition.synsets, attributes=definition.attributes)
    plan.lists["train.txt"] = _rows("train", definition.train, labels, definition.train_marks)
    plan.lists["test.txt"] = _rows("val", definition.test, definition.test_labels, definition.test_marks)
    marks = dict(zip(definition.test, definition.test_marks.tolist(), strict=True))
    _add_mis_list(plan, source, definition, marks)
    if sources:
        _find_images(plan, source)
    _describe(plan, source, sources)
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


def _find_images(plan: Plan, source: Ilsvrc) -> None:
    """Where each listed image is; those no source has go from the lists to ``skipped``."""
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


def _add_mis_list(plan: Plan, source: Ilsvrc, definition: Definition, marks: dict[str, list[int]]) -> None:
    """All validation images with their class; attributes where the 2,000 test images have them."""
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


def plan_imagenet100(sources: Sequence[str], classes: str | None, *, seed: int, class_num: int = 100) -> Plan:
    """train.txt and test.txt (the validation images) of 100 classes, from a file or drawn by the seed.

    Class ids follow the file, or the sorted synsets. Raises InputError for classes without images.
    """
    source = find_ilsvrc(sources)
    members: dict[str, list[str]] = defaultdict(list)
    for name in source.train:
        members[name.split("/")[0]].append(name)
    if not members or not source.val:
        raise input_error(" and ".join(sources), f"no {'validation' if members else 'training'} images",
                          "the images of ILSVRC2012 under their published names", "give both tars by --source")
    plan = Plan("imagenet100", rule="")
    if classes:
        plan.classes = _read_classes(classes)
        plan.rule = f"the classes of {os.path.basename(classes)}, in its order"
        plan.facts["class_list"] = {"file": os.path.basename(classes), "sha256": sha256(classes)}
        if unknown := [synset for synset in plan.classes if synset not in members]:
            raise input_error(classes, f"class {unknown[0]}", "classes of the training images in the source")
    else:
        plan.classes = sorted(seeded_order(members, seed)[:class_num])
        if len(members) < class_num:
            plan.notes.append(f"the source has {len(members)} classes, not {class_num} or more")
        plan.seed = seed
        plan.rule = (f"the {class_num} synsets with the lowest SHA-256 of '{seed}:synset' (not the paper's list, which "
                     "is not published), sorted")
    ids = {synset: number for number, synset in enumerate(plan.classes)}
    test = [name for name in sorted(source.val) if source.val_synsets.get(name) in ids]
    if not test:
        raise input_error(" and ".join(sources), "validation images of unknown class", "their classes",
                          "add ILSVRC2012_devkit_t12.tar.gz (or Kaggle's LOC_val_solution.csv) by --source")
    plan.lists["train.txt"] = [(f"train/{name}", (ids[synset],)) for synset in plan.classes
                               for name in sorted(members[synset])]
    plan.lists["test.txt"] = [(f"val/{name}", (ids[source.val_synsets[name]],)) for name in test]
    plan.images = {f"train/{name}": source.train[name] for synset in plan.classes for name in members[synset]}
    plan.images.update((f"val/{name}", source.val[name]) for name in test)
    _describe(plan, source, sources)
    return plan


def _read_classes(path: str) -> list[str]:
    """One synset a line, anything may follow it; blank lines and # comments are skipped."""
    synsets: dict[str, int] = {}
    with open(path, encoding="utf-8-sig") as handle:
        for number, line in enumerate(handle, start=1):
            word = line.split("#")[0].replace(",", " ").split()[:1]
            if not word:
                continue
            if not SYNSET.fullmatch(word[0]) or word[0] in synsets:
                raise input_error(path, f"'{word[0]}'" + (" again" if word[0] in synsets else ""),
                                  "a synset such as n01440764, once", line=number)
            synsets[word[0]] = number
    if not synsets:
        raise input_error(path, "no class", "one synset such as n01440764 a line")
    return list(synsets)


def _describe(plan: Plan, source: Ilsvrc, sources: Sequence[str]) -> None:
    plan.facts["source"] = describe_sources(*sources)
    if source.words:
        plan.facts["class_words"] = [source.words.get(synset, "") for synset in plan.classes]
