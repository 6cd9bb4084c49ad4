"""``ibc prepare concept_scenes``: images drawn from a seed, whose classes are compositions of concepts.

What is drawn and how is in ``ibc.datasets.concept_scenes``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field

from ibc.cores import usable_cores
from ibc.datasets.concept_scenes.settings import SceneSettings
from ibc.datasets.data_set import DataSet

_COUNTS = {"train": "training pictures", "test": "test pictures", "broden": "further pictures, with masks; 0: none",
           "size": "side of a picture in pixels"}


@dataclass(frozen=True, kw_only=True)
class ConceptScenesOptions(SceneSettings):
    """The settings of the images, the folder to write, and the number of processes."""

    destination: str
    workers: int = field(default_factory=usable_cores)


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("destination", metavar="DST", help="folder to write; made if missing")
    for name, what in _COUNTS.items():
        default = getattr(SceneSettings, name)
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{what} (default: {default})")
    parser.add_argument("--workers", type=int, default=usable_cores(), metavar="N",
                        help="processes (default: one a core); the files do not depend on it")


def _prepare(options: ConceptScenesOptions) -> Iterator[str]:
    from ibc.datasets.concept_scenes.dataset import generate, is_finished  # noqa: PLC0415 - Pillow; --help needs none

    settings = SceneSettings(options.train, options.test, options.broden, options.size, options.seed)
    settings.check()
    if is_finished(options.destination, settings):
        yield f"{options.destination}: complete with these settings, nothing to do"
        return
    manifest = generate(options.destination, settings, max(1, options.workers))
    yield (f"{options.destination}: {manifest['class_num']} classes, {len(manifest['attributes'])} attributes; "
           f"{options.train} training and {options.test} test pictures (train.txt, test.txt), "
           f"{options.broden} with masks (broden/); see overview.jpg")


DATA_SET = DataSet(
    summary="concept scenes, drawn from a seed: images with classes, attributes and masks",
    description="Draw concept scenes: pictures whose classes are compositions of concepts (shape, part, texture, "
                "colour, scene), with list files of classes and attributes, and the masks of all concepts in Broden "
                "format.",
    example="data/scenes --train 3600 --test 720 --broden 240 --size 160 --seed 0", add_flags=_add_flags,
    options=ConceptScenesOptions, prepare=_prepare, seed="every picture follows from it")
