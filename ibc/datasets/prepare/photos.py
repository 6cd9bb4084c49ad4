"""``ibc prepare photos``: photographs of any folder without labels, all in one list."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from ibc.datasets.building.layout import looks_like_image
from ibc.datasets.building.options import BuildOptions
from ibc.datasets.building.plan import PreparationPlan, describe_sources, name_stems
from ibc.datasets.building.source_tree import SourceTree
from ibc.datasets.data_set import image_set
from ibc.errors import input_error
from ibc.labels import NO_CATEGORY

LIST = "photos.txt"


@dataclass(frozen=True, kw_only=True)
class PhotosOptions(BuildOptions):
    """source: folder, zip or tar."""

    source: str


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SRC")


def _plan(options: PhotosOptions) -> PreparationPlan:
    tree = SourceTree(options.source, None, by_class=False)
    plan = PreparationPlan(Path(options.destination).resolve().name, rule=f"every image in {LIST}, without a label",
                           facts={"source": describe_sources(options.source)}, notes=tree.notes)
    plan.skipped += [(path, reason) for path, reason in tree.left_out]
    paths = [path for path in tree.members if looks_like_image(path)]
    if not paths:
        raise input_error(options.source, "no image", "at least one")
    stems = dict(zip(paths, name_stems([path.removeprefix("/") for path in paths]), strict=True))
    plan.images = {stems[path]: tree.members[path] for path in paths}
    plan.lists = {LIST: [(stems[path], (NO_CATEGORY,)) for path in paths]}
    return plan


DATA_SET = image_set(summary="photographs of a folder, zip or tar without labels", example="holiday datasets/holiday",
                     options=PhotosOptions, add_flags=_add_flags, plan=_plan)
