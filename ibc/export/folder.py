"""The folder of an export, and which files in it are ours.

``export.json`` lists the files that an export wrote, with the codes that they came from. An export goes into a folder
that is new, empty or holds only files of this list, so that it never overwrites what is not ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ibc.errors import InputError, input_error
from ibc.files import atomic_write, remove_leftovers
from ibc.json_report import read_json

MANIFEST = "export.json"
CODES, BITS, CSV, FAISS, ENCODER, SQL = ("codes.parquet", "bits.parquet", "codes.csv", "codes.faiss", "encoder.onnx",
                                         "search.sql")
FILES = (CODES, BITS, CSV, FAISS, ENCODER, SQL)  # what an export may write beside export.json


def claim_folder(folder: Path, writes: Iterable[str], source: str) -> dict[str, Any]:
    """Make the folder if it is missing, and note in it what is about to be written; returns its ``export.json``.

    writes: names of the files. source: tells the codes that they come from. Raises InputError where the folder holds
    files that no export wrote, and where it would be left with files of other codes.
    """
    if folder.exists() and not folder.is_dir():
        raise input_error(folder, "a file", "a folder")
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder, (MANIFEST, *FILES))
    manifest = _read_manifest(folder)
    files: dict[str, str | None] = manifest.get("files", {})
    known = {MANIFEST, *files} if manifest else set()
    foreign = sorted(entry.name for entry in folder.iterdir() if entry.name not in known)
    if foreign:
        raise input_error(folder, f"'{foreign[0]}', which no export wrote", "a new or empty folder, or an export's",
                          "choose another one by --output")
    kept = {name: own for name, own in files.items() if name not in set(writes) and (folder / name).exists()}
    others = [name for name, own in kept.items() if own != source]
    if others:
        raise input_error(folder, f"{others[0]} of other codes", "an export of the same codes",
                          "choose another folder by --output, or delete this one")
    manifest["files"] = {**kept, **dict.fromkeys(writes)}  # no source: not yet written, or not to its end
    write_manifest(folder, manifest)
    return manifest


def _read_manifest(folder: Path) -> dict[str, Any]:
    """What ``export.json`` says; {} where there is none. Raises InputError for another file of this name."""
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        manifest = read_json(path, "the list of an export's files")
    except InputError:
        manifest = None
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not set(files) <= set(FILES):
        raise input_error(path, "a file that no export wrote", "the list of an export's files",
                          "choose another folder by --output")
    return dict(manifest)


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write ``export.json``. manifest["files"]: file -> the source that it came from."""
    with atomic_write(folder / MANIFEST, "w") as handle:
        handle.write(json.dumps(manifest, indent=1) + "\n")
