"""``prepare folder``: images of any origin, one folder a class, and with tables of attributes or labels.

Top folders train/ and test/ (or val/) are kept as the split; otherwise a seeded share becomes the
test list. Images of a label table need no class folders.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from ibc.datasets.prepare.archive import Member, list_members
from ibc.datasets.prepare.plan import Plan, describe_sources, name_stems, seeded_order
from ibc.datasets.prepare.table import CLASS_WEIGHT_RULE, class_weights, read_attributes, read_labels
from ibc.errors import input_error
from ibc.labels import MISSING, NO_CATEGORY

_SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test", "val": "val", "valid": "val",
           "validation": "val"}
_IMAGE_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm",
                  ".avif", ".jp2")


def plan_folder(source: str | os.PathLike, name: str, *, seed: int, test_share: float,
                attributes: str | None = None, labels: str | None = None) -> Plan:
    """The plan of a source of images. Raises InputError where there is no class folder and no table to go by."""
    if attributes and labels:
        raise input_error(None, "--attributes with --labels", "one of them",
                          "multi-label rows hold the classes and nothing else")
    tree = Tree(source)
    plan = Plan(name, rule="", facts={"source": describe_sources(source)})
    if labels:
        rows, group = _label_rows(tree, labels, plan), ""
    else:
        rows = _class_rows(tree, attributes, plan)
        group = "class"
    splits = tree.splits(rows, seed, test_share, by_class=group == "class")
    if "test" in tree.given or not splits["test"]:
        plan.rule = "the split of the source's top folders" if "test" in tree.given else "every image in train.txt"
    else:
        plan.seed = seed
        plan.rule = (f"test: {test_share:g} of {'each class' if group else 'all images'} (at least 1 of 2), those "
                     f"with the lowest SHA-256 of '{seed}:path'; train: the rest")
    stems = dict(zip(rows, name_stems([path.removeprefix("/") for path in rows]), strict=True))
    plan.images = {stems[path]: tree.members[path] for path in rows}
    plan.lists = {f"{split}.txt": [(stems[path], rows[path]) for path in paths] for split, paths in splits.items()}
    if labels:
        plan.facts["class_weights"] = class_weights((rows[path] for path in splits["train"]), len(plan.classes))
        plan.facts["class_weights_rule"] = CLASS_WEIGHT_RULE
    return plan


def _class_rows(tree: Tree, attributes: str | None, plan: Plan) -> dict[str, Sequence[int]]:
    """path -> (class id, attributes): images outside of class folders count only if the table has them."""
    plan.classes = sorted({label for label in map(tree.label, tree.members) if label is not None})
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
        if label is not None or path in marks:
            rows[path] = (NO_CATEGORY if label is None else ids[label], *marks.get(path, blank))
        elif path.lower().endswith(_IMAGE_ENDINGS):
            plan.skipped.append((member.name, "not in a class folder"))
    if not rows:
        raise input_error(tree.source, "no image in a class folder",
                          "SRC/<class>/<image> or SRC/train/<class>/<image>", "or give --labels or --attributes")
    return rows


def _label_rows(tree: Tree, labels: str, plan: Plan) -> dict[str, Sequence[int]]:
    """path -> 0/1 a class, from the table."""
    table = read_labels(labels)
    matched, unused = table.match(tree.members)
    plan.classes = table.names
    plan.skipped += unused + [(member.name, f"no row in {table.path.name}") for path, member in tree.members.items()
                              if path not in matched and path.lower().endswith(_IMAGE_ENDINGS)]
    return {path: matched[path] for path in tree.members if path in matched}


class Tree:
    """The files of a source as "split/rest", split empty where the source has none.

    A folder that wraps everything is left out. Top folders are splits only if all of them have such
    names, since "train" is a fine class name too. ``given``: the splits found; a lone val is the test split.
    """

    def __init__(self, source: str | os.PathLike):
        self.source = source
        members = list_members(source)
        paths = _unwrap([member.name for member in members])
        tops = {path.split("/")[0] for path in paths if "/" in path}
        split_of = {top: _SPLITS.get(top.lower(), "") for top in tops}
        if not all(split_of.values()):
            split_of = {}
        elif "test" not in split_of.values():
            split_of = {top: "test" if split == "val" else split for top, split in split_of.items()}
        self.given = set(split_of.values())
        self.members: dict[str, Member] = {}
        for path, member in zip(paths, members, strict=True):
            top, _, rest = path.partition("/") if split_of else ("", "", path)
            if rest:
                self.members[f"{split_of.get(top, '')}/{rest}"] = member

    def label(self, path: str) -> str | None:
        """The class folder of "split/class/rest"."""
        parts = path.split("/")
        return parts[1] if len(parts) > 2 else None

    def splits(self, paths: Iterable[str], seed: int, test_share: float, by_class: bool) -> dict[str, list[str]]:
        """The paths of each list, in path order; a seeded share of the training images where no test split is given."""
        found: dict[str, list[str]] = defaultdict(list)
        for path in paths:
            found[path.split("/")[0] or "train"].append(path)
        if "test" in found:
            return {split: found[split] for split in ("train", "val", "test") if split in found}
        groups: dict[str | None, list[str]] = defaultdict(list)
        for path in found["train"]:
            groups[self.label(path) if by_class else ""].append(path)
        test: set[str] = set()
        for members in groups.values():
            count = max(1, round(test_share * len(members))) if len(members) > 1 and test_share > 0 else 0
            test.update(seeded_order(members, seed)[:count])
        return {"train": [path for path in found["train"] if path not in test],
                "test": [path for path in found["train"] if path in test]}


def _unwrap(paths: list[str]) -> list[str]:
    """Drop a folder that wraps all the others, as long as folders are left under it for classes or splits."""
    while True:
        tops = Counter(path.split("/")[0] for path in paths)
        if len(tops) != 1 or min(path.count("/") for path in paths) < 2 or next(iter(tops)).lower() in _SPLITS:
            return paths
        paths = [path.split("/", 1)[1] for path in paths]
