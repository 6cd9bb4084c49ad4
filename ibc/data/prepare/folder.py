"""``prepare folder``: a tree (or zip, or tar) with one folder a class, of any origin.

Top folders train/ and test/ (or val/) are kept as the split; otherwise a seeded share of every
class becomes the test list.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable

from ibc.data.prepare.archive import Member, list_members
from ibc.data.prepare.plan import Plan, name_stems, seeded_order
from ibc.errors import input_error

_SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test", "val": "val", "valid": "val",
           "validation": "val"}
_IMAGE_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm",
                  ".avif", ".jp2")


def plan_folder(source: str | os.PathLike, name: str, *, seed: int, test_share: float) -> Plan:
    """The plan of a class-per-folder source. Raises InputError where there is no class folder."""
    tree, outside = read_tree(source)
    plan = Plan(name, rule="", facts={"source": os.path.basename(os.path.abspath(source))})
    plan.skipped = [(member.name, "not in a class folder") for member in outside]
    plan.classes = sorted({path.split("/")[1] for path in tree})
    if not plan.classes:
        raise input_error(source, "no image in a class folder", "SRC/<class>/<image> or SRC/train/<class>/<image>")
    ids = {label: index for index, label in enumerate(plan.classes)}
    stems = dict(zip(tree, name_stems([path.removeprefix("/") for path in tree]), strict=True))
    plan.images = {stems[path]: member for path, member in tree.items()}
    splits = split_tree(tree, seed, test_share)
    plan.lists = {f"{split}.txt": [(stems[path], (ids[path.split("/")[1]],)) for path in paths]
                  for split, paths in splits.items()}
    if all(path.startswith(("/", "train/")) for path in tree):
        plan.seed = seed
        plan.rule = (f"test: {test_share:g} of each class (at least 1 where it has 2), those whose SHA-256 of "
                     f"'{seed}:path' is lowest; train: the rest")
    else:
        plan.rule = "the split of the source's top folders"
    return plan


def read_tree(source: str | os.PathLike) -> tuple[dict[str, Member], list[Member]]:
    """Files as "split/class/rest" (split empty where the source has none), and images outside of class folders.

    A folder that wraps everything is ignored. Top folders are splits only if all of them have such
    names, since "train" is a fine class name too.
    """
    members = list_members(source)
    paths = _unwrap([member.name for member in members])
    tops = {path.split("/")[0] for path in paths if "/" in path}
    as_split = {top: _SPLITS.get(top.lower(), "") for top in tops}
    if not all(as_split.values()):
        as_split = {}
    elif "test" not in as_split.values():
        as_split = {top: "test" if split == "val" else split for top, split in as_split.items()}
    tree, outside = {}, []
    for path, member in zip(paths, members, strict=True):
        split, _, rest = path.partition("/") if as_split else ("", "", path)
        if "/" in rest:
            tree[f"{as_split.get(split, '')}/{rest}"] = member
        elif path.lower().endswith(_IMAGE_ENDINGS):
            outside.append(member)
    return tree, outside


def split_tree(paths: Iterable[str], seed: int, test_share: float) -> dict[str, list[str]]:
    """Paths ("split/class/rest") of each list, in path order; a seeded share is taken where there is no test split."""
    given: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        given[path.split("/")[0] or "train"].append(path)
    if "test" in given:
        return {split: given[split] for split in ("train", "val", "test") if split in given}
    classes: dict[str, list[str]] = defaultdict(list)
    for path in given["train"]:
        classes[path.split("/")[1]].append(path)
    test: set[str] = set()
    for members in classes.values():
        count = max(1, round(test_share * len(members))) if len(members) > 1 and test_share > 0 else 0
        test.update(seeded_order(members, seed)[:count])
    return {"train": [path for path in given["train"] if path not in test],
            "test": [path for path in given["train"] if path in test]}


def _unwrap(paths: list[str]) -> list[str]:
    """Drop a folder that wraps all the others, as long as folders are left under it for classes or splits."""
    while True:
        tops = Counter(path.split("/")[0] for path in paths)
        deep = [path for path in paths if path.count("/") >= 2]
        if len(tops) != 1 or len(deep) != len(paths) or next(iter(tops)).lower() in _SPLITS:
            return paths
        paths = [path.split("/", 1)[1] for path in paths]
