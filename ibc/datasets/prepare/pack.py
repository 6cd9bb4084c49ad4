"""``ibc prepare pack``: a prepared folder as one file, an uncompressed zip of its lists, names and listed images.

Images lie in the order of the lists, so that a pass over a list reads the disk in one sweep. The same folder gives the
same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ibc.data.list_file import read_list
from ibc.data.zip_folder import ENDING, member_name
from ibc.datasets.data_set import DataSet
from ibc.errors import InputError, input_error
from ibc.files import atomic_write
from ibc.foreign_names import inside, leads_out
from ibc.progress import track

_NAMES = ("manifest.json", "classes.txt", "attributes.txt")  # what else of a folder goes along
_HEAD = 300  # bytes that an image takes beside its content, amply


@dataclass(frozen=True)
class PackOptions:
    """source: a prepared folder. destination: the zip. lists: names of its list files; empty: all of them."""

    source: str
    destination: str
    lists: list[str] = field(default_factory=list)


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SRC")
    parser.add_argument("destination", metavar="DST.zip")
    parser.add_argument("--list", metavar="FILE", action="append", default=[], dest="lists",
                        help="a list file in SRC; repeat for each (default: those of its manifest.json, else *.txt)")


def _prepare(options: PackOptions) -> Iterator[str]:
    images, size = pack_folder(options.source, options.destination, options.lists)
    destination = Path(options.destination)
    yield f"{destination}: {images} images, {size / 1e6:.0f} MB"
    yield f"  next: --set data_folder={destination}"


def pack_folder(source: str | os.PathLike, destination: str | os.PathLike,
                lists: Sequence[str] = ()) -> tuple[int, int]:
    """Write a prepared folder into a zip; returns (number of images, bytes of the zip).

    lists: names of list files in the folder; empty: those of its manifest, else every ``*.txt``. The archive appears
    complete or not at all. Raises InputError for a list that cannot be read or that names an image outside the folder,
    and where the disk is full; OSError where an image is missing.
    """
    folder, target = Path(source), Path(destination)
    if not folder.is_dir():
        raise input_error(folder, "no such folder", "a prepared data set: images and list files")
    if target.suffix != ENDING or target.is_dir():
        raise input_error(target, "a name that no archive can have", f"a file name that ends in {ENDING}")
    lists = [_inside(name) for name in lists] or _lists_of(folder)
    files = {name: folder / name for name in (*lists, *_NAMES) if name in lists or (folder / name).is_file()}
    before = len(files)
    for name in lists:
        files |= _images_of(folder, name)
    needed = sum(os.stat(path).st_size + _HEAD for path in files.values())
    target.parent.mkdir(parents=True, exist_ok=True)
    if needed > (free := shutil.disk_usage(target.parent).free):
        raise input_error(target.parent, f"{free / 1e9:.2f} GB free", f"about {needed / 1e9:.2f} GB")
    with atomic_write(target) as handle, zipfile.ZipFile(handle, "w", zipfile.ZIP_STORED) as archive:
        for name, path in track(files.items(), target.name, unit="files"):
            entry = zipfile.ZipInfo(name)  # of no date and no owner
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return len(files) - before, target.stat().st_size


def _lists_of(folder: Path) -> list[str]:
    manifest = folder / "manifest.json"
    try:
        named = json.loads(manifest.read_text(encoding="utf-8"))["lists"]
        found = [inside(member_name(name), manifest, "the folder") for name in named]
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        found = sorted(path.name for path in folder.glob("*.txt") if path.name not in _NAMES)
    if not found:
        raise input_error(folder, "no list file", "*.txt with lines 'path label ...'", "name it by --list")
    return found


def _inside(name: str) -> str:
    if leads_out(name):
        raise input_error("--list", name, "a path relative to the folder and inside it")
    return member_name(name)


def _images_of(folder: Path, list_file: str) -> dict[str, Path]:
    """Name in the archive -> file, for each image of a list."""
    images = read_list(list_file, folder)
    found = {}
    for name, file in zip(images.names, images.files, strict=True):
        if os.path.isabs(name) and file == name:
            raise input_error(folder / list_file, f"absolute path '{name}'", "paths relative to the folder")
        inside(member_name(name), folder / list_file, "the folder")
        try:
            member_name(name).encode()
        except UnicodeEncodeError:
            raise input_error(folder / list_file, f"the name {name!a}, which is not UTF-8", "names in UTF-8") from None
        found[member_name(name)] = Path(file)
    return found


DATA_SET = DataSet(summary="a prepared folder as one uncompressed zip, for slow disks",
                   description="Write the lists, names and listed images of a prepared folder into one uncompressed "
                               "zip, which data_folder may name instead of the folder.",
                   example="datasets/imagenet100 datasets/imagenet100.zip", add_flags=_add_flags, options=PackOptions,
                   prepare=_prepare)
