"""``ibc prepare sun``: SUN397 and the SUN Attribute Database, as one set with scene ids and 102 attributes.

Sources are SUN397.tar.gz, SUNAttributeDB_Images.tar.gz and SUNAttributeDB.tar.gz (the three .mat
files), or folders of them. An image of both sets is kept once, with scene and attributes.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ibc.datasets.building.archive import Member, list_members, read_files
from ibc.datasets.building.matlab import load_mat, numbers, strings
from ibc.datasets.building.options import BuildOptions, add_sources_flag, require_sources
from ibc.datasets.building.plan import PreparationPlan, describe_sources, seeded_order
from ibc.datasets.data_set import image_set
from ibc.errors import input_error
from ibc.labels import MISSING, NO_CATEGORY
from ibc.text_files import decode_text

TEST_PER_CLASS = 10
POSITIVE_VOTES = 2 / 3  # labels_cv is the share of three votes
_IMAGE = re.compile(r"(?:.*/)?([a-z]/.+/sun_[a-z]+)\.jpg", re.IGNORECASE)  # .../a/abbey/sun_aaalbzqrimafwbiv.jpg
_CLASSES = "ClassName.txt"
_MATS = {"images.mat": "images", "attributes.mat": "attributes", "attributeLabels_continuous.mat": "labels_cv"}


@dataclass(frozen=True, kw_only=True)
class SunOptions(BuildOptions):
    """source: archives and folders with the images, the scenes and the attributes. seed: of the split."""

    source: list[str] = field(default_factory=list)
    seed: int = 0


def plan_sun(options: SunOptions) -> PreparationPlan:
    """train.txt and test.txt (10 images a scene); train_attr.txt, the training images with attributes.

    A row holds the scene id (99999 outside the 397), then for each attribute 1 where at least 2 of 3 votes say so, 0
    where fewer do, 2 where nobody was asked. Raises InputError for sources that lack a part.
    """
    sources, seed = options.source, options.seed
    require_sources(sources, "sun")
    images, files = _find(sources)
    where = " and ".join(sources)
    scenes = _scenes(files, where)
    attributes, votes = _attributes(files, where, images)
    unknown = sorted(set(votes) - set(images))
    plan = PreparationPlan(
        "sun", rule=f"scenes in the order of {_CLASSES}; test: {TEST_PER_CLASS} images of each, annotated ones first, "
        f"those with the lowest SHA-256 of '{seed}:path'; train: the rest; an attribute is 1 at 2 of 3 votes or more, "
        f"{MISSING} where not annotated", seed=seed, attributes=attributes,
        classes=[scene.split("/", 1)[1] for scene in scenes],
        skipped=[(f"{name}.jpg", "not in the source") for name in unknown])
    plan.facts["source"] = describe_sources(*sources)
    ids = {scene: number for number, scene in enumerate(scenes)}
    used = [name for name in images if os.path.dirname(name) in ids or name in votes]
    plan.skipped += [(images[name].name, f"its scene is not in {_CLASSES}") for name in images
                     if os.path.dirname(name) not in ids and name not in votes]
    blank = [MISSING] * len(attributes)
    rows = {name: [ids.get(os.path.dirname(name), NO_CATEGORY), *votes.get(name, blank)] for name in used}
    test = _test_images(used, ids, votes, seed)
    plan.images = {name: images[name] for name in used}
    plan.lists = {"train.txt": [(name, rows[name]) for name in used if name not in test],
                  "test.txt": [(name, rows[name]) for name in used if name in test],
                  "train_attr.txt": [(name, rows[name]) for name in used if name not in test and name in votes]}
    return plan


def _find(sources: Sequence[str]) -> tuple[dict[str, Member], dict[str, bytes]]:
    """(image -> where it is, sorted; base name -> content of the small files).

    An image is called as in "a/abbey/sun_aaalbzqrimafwbiv".
    """
    images: dict[str, Member] = {}
    files: dict[str, bytes] = {}
    for source in sources:
        members = list_members(source, nested=True)
        for member in members:
            if match := _IMAGE.fullmatch(member.name):
                images.setdefault(match[1], member)
        small = (member for member in members if os.path.basename(member.name) in (*_MATS, _CLASSES))
        files.update({os.path.basename(name): data for name, data in read_files(small).items()})
    if not images:
        raise input_error(" and ".join(sources), "no image", "images such as SUN397/a/abbey/sun_aaalbzqrimafwbiv.jpg")
    return dict(sorted(images.items())), files


def _scenes(files: dict[str, bytes], where: str) -> list[str]:
    """Scenes such as "a/abbey", in the order of ClassName.txt."""
    if _CLASSES not in files:
        raise input_error(where, f"no {_CLASSES}", "the file of SUN397 that lists its 397 scenes",
                          "give SUN397.tar.gz, or its whole folder, by --source")
    scenes = []
    for number, line in enumerate(decode_text(files[_CLASSES], _CLASSES).splitlines(), start=1):
        scene = line.strip().strip("/")
        if scene and ("/" not in scene or ".." in scene.split("/")):
            raise input_error(_CLASSES, f"'{scene}'", "scenes such as /a/abbey, one a line", line=number)
        scenes += [scene] if scene else []
    return scenes


def _attributes(files: dict[str, bytes], where: str, images: Iterable[str]) -> tuple[list[str], dict[str, list[int]]]:
    """(names of the attributes, image -> 0, 1 or 2 for each). An image is found by its path, or by its file name."""
    if missing := [name for name in _MATS if name not in files]:
        raise input_error(where, f"no {missing[0]}", f"{', '.join(_MATS)} of the SUN Attribute Database",
                          "give SUNAttributeDB.tar.gz, or its folder, by --source")
    tables = {name: load_mat(files[name], name, (variable,))[variable] for name, variable in _MATS.items()}
    names, attributes = (strings(tables[name], name) for name in ("images.mat", "attributes.mat"))
    table = "attributeLabels_continuous.mat"
    shares = numbers(tables[table], table, _MATS[table])
    if ((shares < 0) | (shares > 1)).any():
        raise input_error(table, "shares of votes below 0 or above 1", "shares from 0 to 1")
    if shares.shape != (len(names), len(attributes)):
        raise input_error(table, f"a table of {shares.shape}",
                          f"{(len(names), len(attributes))}, one row an image, one column an attribute")
    marks = np.where(np.isnan(shares), MISSING, shares > POSITIVE_VOTES - 0.01).astype(int).tolist()
    by_id: dict[str, list[str]] = defaultdict(list)
    for image in images:
        by_id[os.path.basename(image)].append(image)
    votes = {}
    for name, row in zip(names, marks, strict=True):
        path = os.path.splitext(name.strip("/"))[0]
        same = by_id.get(os.path.basename(path), [])
        votes[same[0] if len(same) == 1 else path] = row
    return attributes, votes


def _test_images(names: Sequence[str], ids: dict[str, int], votes: dict[str, list[int]], seed: int) -> set[str]:
    """Up to TEST_PER_CLASS images of each scene in the order of the seed, those with attributes first."""
    scenes: dict[str, list[str]] = defaultdict(list)
    for name in names:
        scenes[os.path.dirname(name)].append(name)
    chosen: set[str] = set()
    for scene in ids:
        order = seeded_order(scenes[scene], seed)
        chosen.update(sorted(order, key=lambda name: name not in votes)[:TEST_PER_CLASS])  # stable: keeps the order
    return chosen


DATA_SET = image_set(summary="SUN397 with the SUN Attribute Database",
                     example="datasets/sun --source SUN397.tar.gz --source SUNAttributeDB_Images.tar.gz "
                             "--source SUNAttributeDB.tar.gz",
                     options=SunOptions, add_flags=add_sources_flag, plan=plan_sun, seed="of the split")
