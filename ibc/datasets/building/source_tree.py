"""The files of a source by split and class folder, and the split that is drawn where the source has none."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable

from ibc.data.accents import composed
from ibc.datasets.building.archive import Member, list_members
from ibc.datasets.building.layout import read_layout
from ibc.datasets.building.plan import seeded_order


class SourceTree:
    """The files of a source under paths "split/rest"; the split is empty where the source has none.

    How its folders are read is decided by ``read_layout``. A validation split without a test split is the test split.

    source: as given. given: the splits that the source has. members: path -> file. left_out: (file, reason) of images
    that the layout has no place for. notes: what the user should know.
    """

    def __init__(self, source: str | os.PathLike, encoding: str | None = None, by_class: bool = True):
        """encoding: of file names in a zip that does not say it. by_class: class folders are looked for."""
        self.source = source
        self.notes: list[str] = []
        files = {member.name: member for member in list_members(source, encoding=encoding, notes=self.notes)}
        layout = read_layout(files, by_class)
        self.given, self.left_out = layout.given, sorted(layout.left_out.items())
        self.notes += layout.notes
        self.members: dict[str, Member] = {place: files[path] for path, place in layout.places.items()
                                           if not place.endswith("/")}
        self.members = dict(sorted(self.members.items(), key=lambda pair: pair[1].name))
        self._labels: dict[str, str] = {}
        for path in sorted(self.members):
            if label := _class_folder(path):
                self._labels.setdefault(composed(label), label)

    def label(self, path: str) -> str | None:
        """The class folder of a path "split/class/rest", None for a path without one.

        Folders whose names look alike, with accents composed in one way or another, are one class.
        """
        label = _class_folder(path)
        return label and self._labels[composed(label)]

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


def _class_folder(path: str) -> str | None:
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else None
