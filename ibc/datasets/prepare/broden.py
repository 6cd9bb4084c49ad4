"""``prepare broden``: the Broden data set (images, label maps, index) for network dissection.

Comes from its official address, with the download continued where it stopped, or from a local zip;
is unpacked, continued likewise; and its structure is checked: tables, columns, every file the index
names, sizes. On a folder that is there already only the check is made.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from ibc.datasets.prepare.archive import list_members, read_member
from ibc.datasets.prepare.download import fetch
from ibc.errors import InputError, input_error
from ibc.files import atomic_write
from ibc.progress import Progress, track

ADDRESS = "http://netdissect.csail.mit.edu/data/broden1_{size}.zip"
_INDEX_COLUMNS = ("image", "split", "ih", "iw", "sh", "sw")
_TABLES = {"category.csv": ("name", "first", "last"), "label.csv": ("number", "name", "category")}
_CODE_COLUMNS = ("code", "number", "name", "frequency", "coverage")


def prepare_broden(destination: Path, source: str | None, size: int) -> Iterator[str]:
    """Fetch, unpack, check; yields what to tell. Raises InputError with the first thing that is wrong."""
    unfinished = destination / ".unpacking"
    if source is not None or unfinished.exists() or not (destination / "index.csv").exists():
        download = destination / "download"
        archive = Path(source) if source is not None else fetch(ADDRESS.format(size=size), download)
        destination.mkdir(parents=True, exist_ok=True)
        unfinished.touch()
        _unpack(archive, destination)
        unfinished.unlink()
        if source is None:
            shutil.rmtree(download)
    facts = check_broden(destination)
    with atomic_write(destination / "manifest.json", "w") as handle:
        handle.write(json.dumps(facts, indent=1) + "\n")
    yield (f"{destination}: {facts['images']} images of {facts['image_sizes']} px, label maps of "
           f"{facts['label_map_sizes']} px")
    yield f"  {facts['labels']} labels; images with labels: " + ", ".join(
        f"{name} {count}" for name, count in facts["labelled_images"].items())
    yield f"  SHA-256 of all names and sizes: {facts['structure_sha256']}"


def _unpack(archive: Path, destination: Path) -> None:
    """Write what is missing or has another size; each file appears whole."""
    if archive.is_dir():
        raise input_error(archive, "a folder", "a zip", "to check a folder, name it as DST")
    members = list_members(archive)
    index = next((member.name for member in members if os.path.basename(member.name) == "index.csv"), None)
    if index is None:
        raise input_error(archive, "no index.csv", "broden1_224.zip or broden1_227.zip")
    wrapper = index.removesuffix("index.csv")
    missing = {destination / member.name.removeprefix(wrapper): member for member in members
               if member.name.startswith(wrapper)}
    missing = {path: member for path, member in missing.items()
               if not (path.is_file() and path.stat().st_size == member.size)}
    needed, free = sum(member.size for member in missing.values()), shutil.disk_usage(destination).free
    if needed > free:
        raise input_error(destination, f"{free / 1e9:.2f} GB free", f"{needed / 1e9:.2f} GB", "choose another disk")
    aside = destination / ".unpacked"
    with Progress(len(missing), "unpacking", "files") as bar:
        for path, member in missing.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                aside.write_bytes(read_member(member))
            except OSError as error:
                raise input_error(archive, f"'{member.name}' damaged ({error})", "a whole archive",
                                  "fetch it again") from None
            os.replace(aside, path)
            bar.update()


def check_broden(folder: Path) -> dict[str, Any]:
    """Facts of a folder in Broden format, for its manifest; raises InputError with the first fault."""
    index = folder / "index.csv"
    header, rows = _read_table(index, _INDEX_COLUMNS)
    categories = header[len(_INDEX_COLUMNS) :]
    if header[: len(_INDEX_COLUMNS)] != list(_INDEX_COLUMNS) or not categories:
        raise input_error(index, f"columns {', '.join(header)}", f"{', '.join(_INDEX_COLUMNS)}, then categories",
                          line=1)
    _check_tables(folder, categories)
    files: dict[str, int] = {}
    labelled: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    map_sizes: Counter[str] = Counter()
    for number, row in enumerate(track(rows, "checking", unit="images"), start=2):
        try:
            height, width, map_height, map_width = (int(row[column]) for column in ("ih", "iw", "sh", "sw"))
        except ValueError:
            raise input_error(index, "ih, iw, sh, sw " + " ".join(row[column] for column in _INDEX_COLUMNS[2:]),
                              "numbers of pixels", line=number) from None
        _check_image(folder, row["image"], (width, height), index, number, files)
        for category in categories:
            entries = [entry for entry in row[category].split(";") if entry]
            labelled[category] += bool(entries)
            for entry in entries:
                if not entry.isdigit():
                    _check_image(folder, entry, (map_width, map_height), index, number, files)
        sizes[f"{width}x{height}"] += 1
        map_sizes[f"{map_width}x{map_height}"] += 1
    labels = len(_read_table(folder / "label.csv", _TABLES["label.csv"])[1])
    listing = "".join(f"{name} {size}\n" for name, size in sorted(files.items()))
    return {"data_set": "broden", "images": len(rows), "labels": labels, "categories": categories,
            "labelled_images": {name: labelled[name] for name in categories}, "files": len(files),
            "image_sizes": ", ".join(sizes), "label_map_sizes": ", ".join(map_sizes),
            "structure_sha256": hashlib.sha256(listing.encode()).hexdigest()}


def _check_tables(folder: Path, categories: list[str]) -> None:
    for table, columns in _TABLES.items():
        _read_table(folder / table, columns)
    known = {row["name"] for row in _read_table(folder / "category.csv", _TABLES["category.csv"])[1]}
    for category in categories:
        if category not in known:
            raise input_error(folder / "category.csv", f"no row '{category}'", "one for each category of index.csv")
        _read_table(folder / f"c_{category}.csv", _CODE_COLUMNS)


def _read_table(path: Path, columns: tuple[str, ...]) -> tuple[list[str], list[dict[str, str]]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle, restval="")
            rows = list(reader)
            header = list(reader.fieldnames or [])
    except FileNotFoundError:
        raise input_error(path, "no such file", "a folder in Broden format", "unpack the whole archive there") from None
    if missing := [column for column in columns if column not in header]:
        raise input_error(path, f"no column '{missing[0]}'", f"columns {', '.join(columns)}", line=1)
    if not rows:
        raise input_error(path, "no row", "at least one", "fetch the archive again")
    return header, rows


def _check_image(folder: Path, name: str, size: tuple[int, int], index: Path, line: int, files: dict[str, int]) -> None:
    """The file is there and has the size the index says (headers only)."""
    path = folder / "images" / name
    try:
        with Image.open(path) as image:
            found = image.size
        files[name] = path.stat().st_size
    except FileNotFoundError:
        raise input_error(index, f"no file images/{name}", "every file the index names", "unpack the archive again",
                          line=line) from None
    except (UnidentifiedImageError, OSError) as error:
        raise InputError(f"{path}: found no readable image ({error}), expected one; unpack the archive again") from None
    if found != size:
        raise input_error(index, f"images/{name} of {found[0]}x{found[1]} px", f"{size[0]}x{size[1]}", line=line)
