"""``ibc prepare folder``: images of any origin, one folder a class, or with tables of attributes or labels.

Top folders train/ and test/ (or val/) are kept as the split; otherwise a seeded share becomes the test list. Images of
a label table need no class folders.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibc.datasets.building.archive import ARCHIVE_ENDINGS
from ibc.datasets.building.folder_config import write_config
from ibc.datasets.building.layout import is_container, is_split, looks_like_image
from ibc.datasets.building.options import BuildOptions
from ibc.datasets.building.plan import PreparationPlan, describe_sources, name_stems
from ibc.datasets.building.source_tree import SourceTree
from ibc.datasets.building.table import CLASS_WEIGHT_RULE, class_weights, read_attributes, read_labels
from ibc.datasets.data_set import image_set
from ibc.errors import input_error
from ibc.labels import MISSING, NO_CATEGORY
from ibc.text_files import printable


@dataclass(frozen=True, kw_only=True)
class FolderOptions(BuildOptions):
    """source: folder, zip or tar. test_share: of each class, where the source has no split. seed: of that split.

    attributes, labels: CSV files (see ``ibc.datasets.building.table``), one of them at most. encoding: of file names in
    a zip that does not say it.
    """

    source: str
    test_share: float = 0.1
    attributes: str | None = None
    labels: str | None = None
    encoding: str | None = None
    seed: int = 0


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SRC")
    parser.add_argument("--test_share", type=float, default=FolderOptions.test_share, metavar="SHARE",
                        help="share of each class in the test list where SRC has no split "
                        f"(default: {FolderOptions.test_share})")
    parser.add_argument("--attributes", metavar="CSV", help="image, then one column an attribute: 1 has it, 0 or -1 "
                        "has not, empty or 2 unknown; they follow the class in the lists")
    parser.add_argument("--labels", metavar="CSV", help="image, then one 0/1 column a class, for multi_label: true; "
                        "class weights go into manifest.json")
    parser.add_argument("--encoding", metavar="NAME", help="of file names in a zip that does not say it, such as gbk, "
                        "cp932 or cp1252 (default: UTF-8 where all names are that, else cp437)")


def _plan(options: FolderOptions) -> PreparationPlan:
    return plan_folder(options.source, Path(options.destination).resolve().name, seed=options.seed,
                       test_share=options.test_share, attributes=options.attributes, labels=options.labels,
                       encoding=options.encoding)


def _finish(options: FolderOptions, manifest: dict[str, Any]) -> Iterator[str]:
    """Write a config that trains on the folder, where it has what training needs."""
    if config := write_config(Path(options.destination), manifest, options.link):
        yield f"  next: ibc train --config {shlex.quote(str(config))} --output_path ."


def plan_folder(source: str | os.PathLike, name: str, *, seed: int, test_share: float,
                attributes: str | None = None, labels: str | None = None,
                encoding: str | None = None) -> PreparationPlan:
    """The plan of a source of images; the arguments are as in ``FolderOptions``, and ``name`` is that of the data set.

    Raises InputError where there is no class folder and no table to go by, where the folders are none of classes, and
    for a table with a fault.
    """
    if attributes and labels:
        raise input_error(None, "--attributes with --labels", "one of them",
                          "multi-label rows hold the classes and nothing else")
    if not 0 <= test_share <= 1:
        raise input_error("--test_share", f"{test_share:g}", "a share from 0 to 1")
    tree = SourceTree(source, encoding, by_class=not labels)
    plan = PreparationPlan(name, rule="", facts={"source": describe_sources(source)}, notes=tree.notes)
    plan.skipped += [(path, reason) for path, reason in tree.left_out]
    if tree.left_out:
        plan.notes.append(f"left out: {len(tree.left_out)} images {tree.left_out[0][1]}, see skipped.csv")
    rows = _label_rows(tree, labels, plan) if labels else _class_rows(tree, attributes, plan)
    splits = tree.splits(rows, seed, test_share, by_class=not labels)
    given = {path.split("/")[0] for path in rows} & tree.given
    plan.notes += [f"no image of '{split}' has a class folder" for split in sorted(tree.given - given) if not labels]
    if not labels:
        plan.notes += _notes_of_classes(tree, rows)
    if "test" in given or not splits["test"]:
        plan.rule = "the split of the source's top folders" if "test" in given else "every image in train.txt"
    else:
        plan.seed = seed
        plan.rule = (f"test: {test_share:g} of {'all images' if labels else 'each class'} (at least 1 of 2), those "
                     f"with the lowest SHA-256 of '{seed}:path'; train: the rest")
    stems = dict(zip(rows, name_stems([path.removeprefix("/") for path in rows]), strict=True))
    plan.images = {stems[path]: tree.members[path] for path in rows}
    plan.lists = {f"{split}.txt": [(stems[path], rows[path]) for path in paths] for split, paths in splits.items()}
    if labels:
        plan.facts["class_weights"] = class_weights((rows[path] for path in splits["train"]), len(plan.classes))
        plan.facts["class_weights_rule"] = CLASS_WEIGHT_RULE
    return plan


def _class_rows(tree: SourceTree, attributes: str | None, plan: PreparationPlan) -> dict[str, Sequence[int]]:
    """path -> (class id, attributes). An image outside of class folders counts only if the table names it.

    Raises InputError where nothing is in a class folder, and where the folders are named as splits or containers are.
    """
    files = Counter(label for label in map(tree.label, tree.members) if label is not None)
    plan.classes = sorted({label for path in tree.members if (label := tree.label(path)) and looks_like_image(path)})
    if not attributes:
        _refuse_containers(tree, plan.classes)
    empty = sorted(set(files) - set(plan.classes))
    if empty:
        plan.notes.append(f"no class: {_some(empty)}, without an image ({sum(files[name] for name in empty)} files)")
    ids = {label: number for number, label in enumerate(plan.classes)}
    marks: dict[str, tuple[int, ...]] = {}
    blank: tuple[int, ...] = ()
    if attributes:
        table = read_attributes(attributes)
        marks, unused = table.match(tree.members)
        plan.skipped += unused
        plan.attributes, blank = table.names, (MISSING,) * len(table.names)
    rows: dict[str, Sequence[int]] = {}
    for path, member in tree.members.items():
        label = tree.label(path)
        if label in ids or path in marks:
            rows[path] = (NO_CATEGORY if label is None else ids.get(label, NO_CATEGORY), *marks.get(path, blank))
        elif label is None and looks_like_image(path):
            plan.skipped.append((member.name, "not in a class folder"))
    if not rows:
        raise input_error(tree.source, _seen(tree), "SRC/<class>/<image> or SRC/train/<class>/<image>",
                          "or give --labels or --attributes")
    return rows


def _refuse_containers(tree: SourceTree, classes: list[str]) -> None:
    """Raise InputError where the class folders are named as splits are, or one of them holds all images."""
    doubtful = [name for name in classes if is_split(name) or is_container(name)]
    if doubtful and len(doubtful) == len(classes) and (len(classes) == 1 or any(map(is_split, classes))):
        raise input_error(tree.source, f"the folders {_some(classes)} where the classes should be, with images such as "
                          f"'{next(member.name for path, member in tree.members.items() if tree.label(path))}'",
                          "SRC/<class>/<image>, or SRC/train/<class>/<image> and SRC/test/<class>/<image>",
                          "move the images into a folder for each class, or give --labels or --attributes")


def _notes_of_classes(tree: SourceTree, rows: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """What is odd about the class folders: names, depth, splits that lack a class."""
    of_split: dict[str, set[str]] = defaultdict(set)
    deeper = []
    folders_of: dict[str, set[str]] = defaultdict(set)
    for path in rows:
        if label := tree.label(path):
            of_split[path.split("/")[0]].add(label)
            below = path.split("/")[2:-1]
            folders_of[label].update(below[:1] or [""])
            if any(not is_container(folder) for folder in below):
                deeper.append(path)
    classes = set().union(*of_split.values())
    if doubtful := sorted(name for name in classes if is_split(name) or is_container(name)):
        yield f"the class names {_some(doubtful)} look like those of splits or containers: check classes.txt"
    if len(classes) == 1:
        yield f"one class only, {_some(classes)}: check that the class folders lie right below SRC (or SRC/train)"
    same = set.intersection(*folders_of.values()) if folders_of else set()
    if len(classes) > 1 and len(same) > 1 and all(folders == same for folders in folders_of.values()):
        yield (f"each of the classes {_some(classes)} holds the folders {_some(same)}: if these are the classes, "
               "rename the folders around them to train and test")
    elif deeper:
        yield (f"{len(deeper)} images lie in folders below those taken as classes, such as "
               f"'{tree.members[deeper[0]].name}': check classes.txt")
    if {"train", "test"} <= set(of_split):
        for one, other in (("train", "test"), ("test", "train")):
            if missing := sorted(of_split[one] - of_split[other]):
                yield f"{len(missing)} classes of {one} without an image in {other}: {_some(missing)}"


def _seen(tree: SourceTree) -> str:
    """What a source without class folders holds, for a message."""
    names = [member.name for member in tree.members.values()]
    if archives := [name for name in names if name.lower().endswith((*ARCHIVE_ENDINGS, ".rar", ".7z"))]:
        return f"no image in a class folder, but {len(archives)} archives ({_some(archives)})"
    images = [name for name in names if looks_like_image(name)]
    what = f"{len(images)} images outside of any ({_some(images)})" if images else f"{len(names)} other files"
    return f"no image in a class folder, {what if names else 'and no file at all'}"


def _some(names: Iterable[str]) -> str:
    """The first names of a list, for a message."""
    listed = sorted(names)
    return ", ".join(f"'{printable(name)}'" for name in listed[:3]) + (" …" if len(listed) > 3 else "")


def _label_rows(tree: SourceTree, labels: str, plan: PreparationPlan) -> dict[str, Sequence[int]]:
    """path -> one 0 or 1 a class, from the table."""
    table = read_labels(labels)
    matched, unused = table.match(tree.members)
    plan.classes = table.names
    plan.skipped += unused + [(member.name, f"no row in {table.path.name}") for path, member in tree.members.items()
                              if path not in matched and looks_like_image(path)]
    return {path: matched[path] for path in tree.members if path in matched}


DATA_SET = image_set(summary="a folder, zip or tar with one folder a class (train/ and test/ on top are kept)",
                     example="my_photos datasets/mine --test_share 0.2", options=FolderOptions, add_flags=_add_flags,
                     plan=_plan, seed="of the split", finish=_finish)
