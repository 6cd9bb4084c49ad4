"""``ibc prepare imagenet100``: 100 classes of ILSVRC2012, tested on their validation images."""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from dataclasses import dataclass, field

from ibc.datasets.building.ilsvrc import SYNSET, describe_ilsvrc, find_ilsvrc
from ibc.datasets.building.options import BuildOptions, add_sources_flag, require_sources
from ibc.datasets.building.plan import PreparationPlan, seeded_order
from ibc.datasets.data_set import image_set
from ibc.errors import input_error
from ibc.files import sha256
from ibc.text_files import read_text


@dataclass(frozen=True, kw_only=True)
class ImageNet100Options(BuildOptions):
    """source: archives and folders with the images. classes: file with one synset a line; None: drawn by the seed."""

    source: list[str] = field(default_factory=list)
    classes: str | None = None
    seed: int = 0


def _add_flags(parser: argparse.ArgumentParser) -> None:
    add_sources_flag(parser)
    parser.add_argument("--classes", metavar="FILE", help="the synsets to take, one a line (default: drawn by the "
                        "seed)")


def plan_imagenet100(options: ImageNet100Options, class_num: int = 100) -> PreparationPlan:
    """train.txt and test.txt (the validation images) of ``class_num`` classes, from a file or drawn by the seed.

    Class ids follow the file, or the sorted synsets. Raises InputError for classes without images.
    """
    sources, classes, seed = options.source, options.classes, options.seed
    require_sources(sources, "imagenet100")
    source = find_ilsvrc(sources)
    members: dict[str, list[str]] = defaultdict(list)
    for name in source.train:
        members[name.split("/")[0]].append(name)
    if not members or not source.val:
        raise input_error(" and ".join(sources), f"no {'validation' if members else 'training'} images",
                          "the images of ILSVRC2012 under their published names", "give both tars by --source")
    plan = PreparationPlan("imagenet100", rule="")
    if classes:
        plan.classes = _read_classes(classes)
        plan.rule = f"the classes of {os.path.basename(classes)}, in its order"
        plan.facts["class_list"] = {"file": os.path.basename(classes), "sha256": sha256(classes)}
        if unknown := [synset for synset in plan.classes if synset not in members]:
            raise input_error(classes, f"class {unknown[0]}", "classes of the training images in the source")
    else:
        plan.classes = sorted(seeded_order(members, seed)[:class_num])
        if len(members) < class_num:
            plan.notes.append(f"the source has {len(members)} classes, not {class_num} or more")
        plan.seed = seed
        plan.rule = (f"the {class_num} synsets with the lowest SHA-256 of '{seed}:synset' (not the paper's list, which "
                     "is not published), sorted")
    ids = {synset: number for number, synset in enumerate(plan.classes)}
    test = [name for name in sorted(source.val) if source.val_synsets.get(name) in ids]
    if not test:
        raise input_error(" and ".join(sources), "validation images of unknown class", "their classes",
                          "add ILSVRC2012_devkit_t12.tar.gz (or Kaggle's LOC_val_solution.csv) by --source")
    plan.lists["train.txt"] = [(f"train/{name}", (ids[synset],)) for synset in plan.classes
                               for name in sorted(members[synset])]
    plan.lists["test.txt"] = [(f"val/{name}", (ids[source.val_synsets[name]],)) for name in test]
    plan.images = {f"train/{name}": source.train[name] for synset in plan.classes for name in members[synset]}
    plan.images.update((f"val/{name}", source.val[name]) for name in test)
    describe_ilsvrc(plan, source, sources)
    return plan


def _read_classes(path: str) -> list[str]:
    """Synsets of a file with one a line; what follows a synset, blank lines and # comments are passed over."""
    synsets: dict[str, int] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        word = line.split("#")[0].replace(",", " ").split()[:1]
        if not word:
            continue
        if not SYNSET.fullmatch(word[0]) or word[0] in synsets:
            raise input_error(path, f"'{word[0]}'" + (" again" if word[0] in synsets else ""),
                              "a synset such as n01440764, once", line=number)
        synsets[word[0]] = number
    if not synsets:
        raise input_error(path, "no class", "one synset such as n01440764 a line")
    return list(synsets)


DATA_SET = image_set(summary="100 classes of ILSVRC2012, tested on their validation images",
                     example="datasets/imagenet100 --source /data/ILSVRC2012", options=ImageNet100Options,
                     add_flags=_add_flags, plan=plan_imagenet100, seed="of the classes")
