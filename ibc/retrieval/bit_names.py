"""Names of bits: the concepts that a dissection found for the filter of each bit.

A dissection's table flows in: ``tally.json``, ``tally.csv``, ``units.csv``, or the folder that holds them. A list of
``BitName`` flows out. Bit k is named after unit k + 1: bits are numbered from 0 in Python, units from 1 in files.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibc.csv_tables import csv_records, csv_rows
from ibc.csv_writer import cell_text
from ibc.dissection.settings import DETECTOR_IOU
from ibc.errors import InputError, input_error
from ibc.json_report import read_json
from ibc.retrieval.bits import near_names, plain_concept, share
from ibc.text_files import read_text

FILES = ("tally.json", "tally.csv", "units.csv")  # of a dissection folder, the one that says most first


@dataclass(frozen=True)
class BitName:
    """One concept that names a bit.

    bit: from 0. concept: its name for people, as in "night sky". category: of the concept, as in "scene". iou: of the
    filter's masks with the concept, from 0 to 1. chance: the best IoU that the filter reaches in a chance pairing of
    images with the label maps of others; None where the table does not say. beats_chance: iou is above chance; None
    where the table does not say.
    """

    bit: int
    concept: str
    category: str
    iou: float
    chance: float | None
    beats_chance: bool | None


def load_bit_names(path: str | os.PathLike, code_length: int) -> list[BitName]:
    """The names of the bits of a code: ordered by bit, of each bit the concept with the best IoU first.

    path: a dissection folder, or one of its files ``tally.json``, ``tally.csv`` and ``units.csv``. The two tallies
    give the best concept of every category; ``units.csv`` gives one concept a bit. Concepts with an IoU of 0 are left
    out, so a bit may have no name. Raises InputError where there is no such file, where it cannot be read, and where
    its unit numbers do not fit ``code_length`` bits (the dissection of another model).
    """
    file = find_table(path)
    table = _from_json(file) if file.suffix == ".json" else _from_csv(file)
    if not table.bits:
        raise input_error(file, "no unit", "a dissection table with a row for each unit", "dissect the model again")
    if min(table.bits) < 0:
        raise input_error(file, f"unit {min(table.bits) + 1}", "numbers from 1")
    units = max(table.bits) + 1
    if units > code_length or (table.complete and units < code_length):
        raise input_error(file, f"units 1 to {units}", f"1 to {code_length}, the code length",
                          "take the dissection of the model that made the codes")
    return sorted((name for name in table.names if name.iou > 0), key=lambda name: (name.bit, -name.iou))


def find_table(path: str | os.PathLike) -> Path:
    """The file to read names from: ``path`` itself, or the best one of the folder. Raises InputError without any."""
    path = Path(path)
    if not path.is_dir():
        if not path.exists():
            raise input_error(path, "no such file", "a dissection folder, or its tally.json or tally.csv",
                              "make it with ibc dissect")
        return path
    found = [path / name for name in FILES if (path / name).is_file()]
    if not found:
        raise input_error(path, "no dissection", f"a folder with {' or '.join(FILES)}", "make it with ibc dissect")
    return found[0]


def dissected_model(path: str | os.PathLike) -> str | None:
    """The fingerprint of the model that was dissected, from the ``tally.json`` of a dissection; None without it."""
    file = find_table(path)
    json_file = file if file.suffix == ".json" else file.with_name(FILES[0])
    try:
        content = read_json(json_file, "the tally.json of a dissection")
    except (OSError, InputError):
        return None
    model = content.get("model") if isinstance(content, dict) else None
    return model if isinstance(model, str) and model else None


def check_dissected_model(path: str | os.PathLike, model: str | None, codes_file: str | os.PathLike) -> None:
    """Raises InputError where a dissection says that it is of another model than a codes file says it is of.

    path: of the dissection. model: fingerprint in the codes file, or None. codes_file: its path, for messages.
    """
    own = dissected_model(path)
    if own and model and own != model:
        raise input_error(path, f"the dissection of another model ({own[:12]}…)",
                          f"that of the model that made {codes_file} ({model[:12]}…)",
                          "dissect this model, or extract its codes again")


def concept_bits(names: Iterable[BitName], concept: str) -> list[BitName]:
    """The entries of a concept, best IoU first. Names match as in ``ibc.retrieval.bits_of_concepts``."""
    wanted = plain_concept(concept)
    return sorted((name for name in names if plain_concept(name.concept) == wanted), key=lambda name: -name.iou)


def bits_named(names: Sequence[BitName], concept: str, min_iou: float = DETECTOR_IOU, *, any_category: bool = True,
               source: str | os.PathLike | None = None) -> list[BitName]:
    """The bits that detect ``concept`` with an IoU of at least ``min_iou``, best first; at least one.

    A bit detects its best concept of every category; without ``any_category`` only the one that it has its best IoU
    with, which is the stricter rule of ``ibc.retrieval.bits_of_concepts``. source: of the names, for messages. Raises
    InputError for an unknown concept (with similar names), and where no bit reaches ``min_iou``; the message then says
    which bit comes nearest.
    """
    considered = names if any_category else list(main_names(names).values())
    found = concept_bits(considered, concept)
    if not found:
        other = concept_bits(names, concept)
        if other:
            raise input_error(source, f"no bit with '{concept}' as its best concept", "at least one",
                              f"bit {other[0].bit + 1} comes nearest, IoU {other[0].iou:.3f}; leave --best_only out to "
                              "take it")
        known = sorted({plain_concept(name.concept) for name in names})
        raise input_error(source, f"no bit named '{concept}'", "a concept of the dissection",
                          near_names(plain_concept(concept), known) or f"for example: {', '.join(known[:8])}")
    good = [name for name in found if name.iou >= min_iou]
    if not good:
        nearest = found[0]
        raise input_error(source, f"'{concept}' at IoU {nearest.iou:.3f} at best, by bit {nearest.bit + 1}",
                          f"{min_iou:g} or more", "lower --min_iou to take it")
    return good


def main_names(names: Iterable[BitName]) -> dict[int, BitName]:
    """Bit (from 0) -> the concept with its best IoU; a bit without a name is left out."""
    best: dict[int, BitName] = {}
    for name in names:
        if name.bit not in best or name.iou > best[name.bit].iou:
            best[name.bit] = name
    return best


def _display(label: str) -> str:
    """A concept's name for people: without Broden's endings -c and -s, blanks for underscores."""
    return label.removesuffix("-s").removesuffix("-c").replace("_", " ")


@dataclass(frozen=True)
class _NameTable:
    """bits: of the units in the file. names: of these. complete: the file says that these are all units."""

    bits: list[int]
    names: list[BitName]
    complete: bool


def _from_json(file: Path) -> _NameTable:
    content = read_json(file, "the tally.json of a dissection")
    if not isinstance(content, dict) or not isinstance(content.get("units"), list):
        raise input_error(file, "no list 'units'", "the tally.json of a dissection")
    bits, names = [], []
    for place, unit in enumerate(content["units"], 1):
        try:
            bit = int(unit["unit"]) - 1
            chance = max((_share(value) for value in unit["chance"] if value is not None), default=None)
            best = [(str(entry["label"]), str(category), _share(entry["iou"]))
                    for category, entry in unit["best"].items()]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise input_error(file, f"entry {place} of 'units' without unit, chance and best concepts with an IoU from "
                              "0 to 1", "the tally.json of a dissection") from None
        bits.append(bit)
        names += [_bit_name(bit, label, category, iou, chance) for label, category, iou in best if label]
    settings = content.get("settings")
    return _NameTable(bits, names, isinstance(settings, dict) and settings.get("units", ()) is None)


def _share(value: Any) -> float:
    """A number from 0 to 1. Raises ValueError for anything else."""
    found = share(value)
    if found is None:
        raise ValueError(value)
    return found


def _bit_name(bit: int, label: str, category: str, iou: float, chance: float | None) -> BitName:
    return BitName(bit, _display(label), category, iou, chance, None if chance is None else iou > chance)


def _from_csv(file: Path) -> _NameTable:
    """A ``tally.csv`` (best concept of each category) or a ``units.csv`` (one concept a unit)."""
    bits: list[int] = []
    names: list[BitName] = []
    text = read_text(file)
    columns = [name.strip() for name in next(csv_rows(text, file), (1, []))[1]]
    groups = _column_groups(file, columns)
    for line, row in csv_records(text, file, columns):
        try:
            bit = int(row["unit"]) - 1
            chance = float(row["chance"]) if "chance" in columns else math.nan
            found = [(cell_text(row[label]), category or row["category"], _share(row[iou]))
                     for label, category, iou in groups if row[label]]
        except ValueError:
            raise input_error(file, f"unit '{row['unit']}' with a value that is not a number from 0 to 1",
                              "a number in every row", line=line) from None
        bits.append(bit)
        known = None if math.isnan(chance) else chance
        names += [_bit_name(bit, label, category, iou, known) for label, category, iou in found]
    return _NameTable(bits, names, complete=False)


def _column_groups(file: Path, columns: Sequence[str]) -> list[tuple[str, str, str]]:
    """(column of the label, its category or "", column of its IoU) of a table. Raises InputError for another table."""
    groups = [(name, name.removesuffix("-label"), name.removesuffix("-label") + "-iou")
              for name in columns if name.endswith("-label")]
    if not groups:
        groups = [("concept", "", "iou")] if "concept" in columns else [("label", "", "score")]
    needed = ["unit", *(name for label, _, iou in groups for name in (label, iou)), "category"]
    missing = [name for name in needed if name not in columns]
    if missing:
        raise input_error(file, f"no column '{missing[0]}'", "the tally.csv or units.csv of a dissection", line=1)
    return groups
