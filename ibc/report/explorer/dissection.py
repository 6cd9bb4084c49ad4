"""What a page takes from a dissection: names of bits, how well bit and filter agree, strips of images with masks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ibc.codes import CodeSet
from ibc.dissection.outputs import TALLY_JSON
from ibc.dissection.page.strips import strip_name
from ibc.files import atomic_write
from ibc.foreign_names import plain_name
from ibc.json_report import read_json
from ibc.retrieval.bit_names import BitName, check_dissected_model, find_table, load_bit_names

STRIPS = Path("html", "image")  # in a dissection's folder


@dataclass(frozen=True)
class PageDissection:
    """names: of K bits. alignment: bit (from 0) -> correlation of its code value with its filter's response.

    strips: bit -> JPEG of the filter's top images with their masks; only where a folder was given that has them.
    """

    names: list[BitName]
    alignment: dict[int, float]
    strips: dict[int, Path]


def read_dissection(path: str | os.PathLike, codes: CodeSet, codes_file: str | os.PathLike) -> PageDissection:
    """The dissection of a results folder, or of one of its tables.

    codes_file: the path of the codes, for messages. Raises InputError for the dissection of another model: another code
    length, or another fingerprint where both files have one.
    """
    names = load_bit_names(path, codes.code_length)
    check_dissected_model(path, codes.model, codes_file)
    table = find_table(path)
    if table.name != TALLY_JSON:
        return PageDissection(names, {}, {})
    content = read_json(table, "the tally.json of a dissection")
    units = {int(unit["unit"]) - 1: unit for unit in content["units"]}  # as load_bit_names has checked
    alignment = {bit: float(unit["bit"]["correlation"]) for bit, unit in units.items()
                 if isinstance(unit.get("bit"), dict) and isinstance(unit["bit"].get("correlation"), (int, float))}
    strips = {}
    if Path(path).is_dir() and "layer" in content:
        layer = plain_name(str(content["layer"]), table, "the layer")
        files = {bit: table.parent / STRIPS / strip_name(layer, bit + 1) for bit in units}
        strips = {bit: file for bit, file in files.items() if file.is_file()}
    return PageDissection(names, alignment, strips)


def copy_strips(strips: dict[int, Path], folder: Path) -> dict[int, str]:
    """Copy strips to ``folder``; returns bit -> file name there. Strips of an earlier page are deleted."""
    names = {bit: f"bit-{bit + 1:04d}.jpg" for bit in strips}
    for bit, name in names.items():
        with atomic_write(folder / name) as handle:
            handle.write(strips[bit].read_bytes())
    for old in set(folder.glob("bit-*.jpg")) - {folder / name for name in names.values()}:
        old.unlink()
    return names
