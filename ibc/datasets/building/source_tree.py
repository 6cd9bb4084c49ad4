"""The files of a source by split and class folder, and the split that is drawn where the source has none."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable

from ibc.datasets.building.archive import Member, list_members
from ibc.datasets.building.plan import seeded_order

_SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test", "val": "val", "valid": "val",
           "validation": "val"}


class SourceTree:
    """The files of a source under paths "split/rest"; the split is empty where the source has none.

    A folder that wraps all the others is left out of the paths. Top folders count as splits only if all of them are
    named so, since "train" may also be the name of a class. A validation split without a test split is the test split.

    source: as given. given: the splits that the source has. members: path -> file. notes: what the user should know.
    """

    def __init__(self, source: str | os.PathLike, encoding: str | None = None):
        """encoding: of file names in a zip that does not say it."""
        self.source = source
        self.notes: list[str] = []
        members = list_members(source, encoding=encoding, notes=self.notes)
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
        """The class folder of a path "split/class/rest", None for a path without one."""
        parts = path.split("/")
        return parts[1] if len(parts) > 2 else None

    def splits(self, paths: Iterable[str], seed: int, test_share: float, by_class: bool) -> dict[str, list[str]]:
        """Split -> its paths, in the order of ``paths``.

        Where the source has no test split, a share of the training images is drawn for it by the seed: of each class
        with ``by_class``, else of all images. A group of two or more images gives at least one, unless the share is 0.
        """
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
    """Leave out a folder that wraps all the others, as long as there are folders below it for classes or splits."""
    while True:
        tops = Counter(path.split("/")[0] for path in paths)
        if len(tops) != 1 or min(path.count("/") for path in paths) < 2 or next(iter(tops)).lower() in _SPLITS:
            return paths
        paths = [path.split("/", 1)[1] for path in paths]
