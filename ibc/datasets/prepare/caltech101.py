"""``prepare caltech101``: torchvision's download or a given archive, split as is customary for it."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from ibc.datasets.prepare.archive import Member, list_members
from ibc.datasets.prepare.download import torchvision_archive
from ibc.datasets.prepare.plan import Plan, describe_sources, seeded_order
from ibc.errors import input_error

TRAIN_PER_CLASS, TEST_PER_CLASS = 30, 50
_FOLDER, _CLUTTER = "101_ObjectCategories", "BACKGROUND_Google"
_URL = "https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip"  # as in torchvision.datasets.Caltech101
_MD5 = "3138e1922a9193bfa496528edbbc45d0"


def plan_caltech101(source: str | None, destination: Path, *, seed: int) -> Plan:
    """30 training images a class, the rest for testing but at most 50; the clutter class is left out.

    ``source``: caltech-101.zip, 101_ObjectCategories.tar.gz, or a folder of either.
    """
    source = source or torchvision_archive(_URL, "caltech-101.zip", _MD5, destination / "download")
    classes: dict[str, dict[str, Member]] = defaultdict(dict)
    for member in list_members(source, nested=True):
        parts = member.name.split("/")
        if len(parts) >= 2 and parts[-1].lower().endswith(".jpg") and _FOLDER in [*parts, os.path.basename(source)]:
            classes[parts[-2]][f"{parts[-2]}/{os.path.splitext(parts[-1])[0]}"] = member
    classes.pop(_CLUTTER, None)
    if not classes:
        raise input_error(source, f"no {_FOLDER}/<class>/<image>.jpg", "the Caltech-101 archive or its folder")
    plan = Plan("caltech101", seed=seed, classes=sorted(classes),
                rule=f"train: {TRAIN_PER_CLASS} images of each class, those with the lowest SHA-256 of '{seed}:path'; "
                     f"test: the next {TEST_PER_CLASS} at most; {_CLUTTER} and images beyond are left out",
                facts={"source": describe_sources(source)})
    plan.lists = {"train.txt": [], "test.txt": []}
    for number, label in enumerate(plan.classes):
        order = seeded_order(classes[label], seed)
        last = TRAIN_PER_CLASS + TEST_PER_CLASS
        for file, chosen in (("train.txt", order[:TRAIN_PER_CLASS]), ("test.txt", order[TRAIN_PER_CLASS:last])):
            plan.lists[file] += [(stem, (number,)) for stem in sorted(chosen)]
            plan.images.update((stem, classes[label][stem]) for stem in chosen)
    return plan
