"""ILSVRC2012 as it is found on disks: its images and the classes of the validation images.

Sources are the published tars (training: a tar of tars; validation; devkit), Kaggle's archive, or
folders that hold any of these, unpacked or not. Images are known by their published file names, so
the layout does not matter.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field

from ibc.csv_tables import csv_records
from ibc.datasets.building.archive import Member, list_members, read_files
from ibc.datasets.building.matlab import load_mat
from ibc.datasets.building.plan import PreparationPlan, describe_sources
from ibc.errors import input_error
from ibc.text_files import decode_text, whole_number

VAL_NUM = 50_000
SYNSET = re.compile(r"n\d{8}")
_TRAIN = re.compile(r"(n\d{8})_\d+\.jpe?g", re.IGNORECASE)
_VAL = re.compile(r"(ILSVRC2012_val_\d{8})\.jpe?g", re.IGNORECASE)
_GROUND_TRUTH, _META, _KAGGLE = "ILSVRC2012_validation_ground_truth.txt", "meta.mat", "LOC_val_solution.csv"


@dataclass
class Ilsvrc:
    """What the sources hold of ILSVRC2012.

    train: training image, as in "n01440764/n01440764_10026", -> where it is. val: validation image, as in
    "ILSVRC2012_val_00000001", -> where it is. val_synsets: validation image -> its synset; empty where no source tells.
    words: synset -> its description; empty without the devkit.
    """

    train: dict[str, Member] = field(default_factory=dict)
    val: dict[str, Member] = field(default_factory=dict)
    val_synsets: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)


def find_ilsvrc(sources: Iterable[str | os.PathLike], train: Container[str] | None = None) -> Ilsvrc:
    """Search all sources for validation images and for the training images named in ``train`` (None: all).

    Raises InputError for a missing or damaged source, and for a damaged devkit.
    """
    found = Ilsvrc()

    def is_wanted(name: str) -> bool:
        base = os.path.basename(name)
        if match := _TRAIN.fullmatch(base):
            return train is None or f"{match[1]}/{os.path.splitext(base)[0]}" in train
        return bool(_VAL.fullmatch(base)) or base in (_GROUND_TRUTH, _META, _KAGGLE)

    side: dict[str, bytes] = {}
    for source in sources:
        members = list_members(source, nested=True, wanted=is_wanted)
        for member in members:
            base = os.path.basename(member.name)
            if match := _TRAIN.fullmatch(base):
                found.train[f"{match[1]}/{os.path.splitext(base)[0]}"] = member
            elif match := _VAL.fullmatch(base):
                found.val[match[1]] = member
                folder = os.path.basename(os.path.dirname(member.name))
                if SYNSET.fullmatch(folder):
                    found.val_synsets[match[1]] = folder
        files = read_files(member for member in members if os.path.basename(member.name) in
                           (_GROUND_TRUTH, _META, _KAGGLE))
        side.update({os.path.basename(name): data for name, data in files.items()})
    if _META in side and _GROUND_TRUTH in side:
        _read_devkit(found, side)
    elif _KAGGLE in side:
        text = decode_text(side[_KAGGLE], _KAGGLE)
        for line, row in csv_records(text, _KAGGLE, ("ImageId", "PredictionString")):
            words = row["PredictionString"].split()
            if not words:
                raise input_error(_KAGGLE, f"no class of '{row['ImageId']}'", "a synset in PredictionString",
                                  "fetch it again", line=line)
            found.val_synsets[row["ImageId"]] = words[0]
    return found


def _read_devkit(found: Ilsvrc, side: dict[str, bytes]) -> None:
    """Enter the classes of the validation images: line i of the ground truth is the ID of image i's class, and
    meta.mat says which synset has that ID."""
    synsets = load_mat(side[_META], _META, ("synsets",))["synsets"].ravel()
    try:
        by_id = {int(entry["ILSVRC2012_ID"].item()): (str(entry["WNID"].item()), str(entry["words"].item()))
                 for entry in synsets if int(entry["num_children"].item()) == 0}
    except (AttributeError, IndexError, TypeError, ValueError, OverflowError):
        raise input_error(_META, "synsets without ILSVRC2012_ID, WNID, words and num_children", "the devkit's meta.mat",
                          "fetch the devkit again") from None
    for number, line in enumerate(side[_GROUND_TRUTH].split(), start=1):
        known = by_id.get(whole_number(line.decode("latin-1")) or 0)
        if known is None:
            raise input_error(_GROUND_TRUTH, f"class '{line.decode(errors='replace')}'", f"an ID of {_META}",
                              "fetch the devkit again", line=number)
        found.val_synsets[f"ILSVRC2012_val_{number:08d}"] = known[0]
    found.words = dict(by_id.values())


def describe_ilsvrc(plan: PreparationPlan, source: Ilsvrc, sources: Sequence[str]) -> None:
    """Enter the sources, and the descriptions of the classes where they are known, into the manifest."""
    plan.facts["source"] = describe_sources(*sources)
    if source.words:
        plan.facts["class_words"] = [source.words.get(synset, "") for synset in plan.classes]
