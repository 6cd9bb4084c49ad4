"""``ibc prepare caltech101``: torchvision's download or a given archive, split as is customary for it."""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from ibc.datasets.building.archive import Member, list_members
from ibc.datasets.building.download import torchvision_archive
from ibc.datasets.building.options import BuildOptions
from ibc.datasets.building.plan import PreparationPlan, describe_sources, seeded_order
from ibc.datasets.data_set import image_set
from ibc.errors import input_error

TRAIN_PER_CLASS, TEST_PER_CLASS = 30, 50
_FOLDER, _CLUTTER = "101_ObjectCategories", "BACKGROUND_Google"
_URL = "https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip"  # as in torchvision.datasets.Caltech101
_MD5 = "3138e1922a9193bfa496528edbbc45d0"


@dataclass(frozen=True, kw_only=True)
class Caltech101Options(BuildOptions):
    """source: caltech-101.zip, 101_ObjectCategories.tar.gz, or a folder of either; None: download it.

    seed: of the split.
    """

    source: str | None = None
    seed: int = 0


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", metavar="PATH", help="the archive, or a folder of it (default: download)")


def plan_caltech101(options: Caltech101Options) -> PreparationPlan:
    """30 training images of each class, the rest for testing but at most 50; the clutter class is left out.

    Raises InputError for a source of other content, and where the archive cannot be downloaded.
    """
    source = options.source or torchvision_archive(_URL, "caltech-101.zip", _MD5,
                                                   Path(options.destination, "download"))
    classes: dict[str, dict[str, Member]] = defaultdict(dict)
    for member in list_members(source, nested=True):
        parts = member.name.split("/")
        if len(parts) >= 2 and parts[-1].lower().endswith(".jpg") and _FOLDER in [*parts, os.path.basename(source)]:
            classes[parts[-2]][f"{parts[-2]}/{os.path.splitext(parts[-1])[0]}"] = member
    classes.pop(_CLUTTER, None)
    if not classes:
        raise input_error(source, f"no {_FOLDER}/<class>/<image>.jpg", "the Caltech-101 archive or its folder")
    plan = PreparationPlan("caltech101", seed=options.seed, classes=sorted(classes),
                           rule=f"train: {TRAIN_PER_CLASS} images of each class, those with the lowest SHA-256 of "
                                f"'{options.seed}:path'; test: the next {TEST_PER_CLASS} at most; {_CLUTTER} and "
                                "images beyond are left out",
                           facts={"source": describe_sources(source)})
    plan.lists = {"train.txt": [], "test.txt": []}
    for number, label in enumerate(plan.classes):
        order = seeded_order(classes[label], options.seed)
        last = TRAIN_PER_CLASS + TEST_PER_CLASS
        for file, chosen in (("train.txt", order[:TRAIN_PER_CLASS]), ("test.txt", order[TRAIN_PER_CLASS:last])):
            plan.lists[file] += [(stem, (number,)) for stem in sorted(chosen)]
            plan.images.update((stem, classes[label][stem]) for stem in chosen)
    return plan


DATA_SET = image_set(summary="Caltech-101, downloaded through torchvision's address or from a given archive",
                     example="datasets/caltech101", options=Caltech101Options, add_flags=_add_flags,
                     plan=plan_caltech101, seed="of the split")
