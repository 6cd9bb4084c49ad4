"""``ibc prepare broden``: the Broden data set (images, label maps, tables) for network dissection.

It comes from its official address or from a local zip, is unpacked, and then checked. Downloading and unpacking go on
where an earlier run stopped. A folder that is there already is only checked.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ibc.datasets.building.archive import Member, list_members, member_parts
from ibc.datasets.building.download import fetch
from ibc.datasets.data_set import DataSet
from ibc.errors import input_error
from ibc.files import atomic_write, errors_name, only_writer
from ibc.progress import Progress

_PART = 1 << 20
ADDRESS = "http://netdissect.csail.mit.edu/data/broden1_{size}.zip"


@dataclass(frozen=True)
class BrodenOptions:
    """destination: folder to write. source: zip to take; None: download. image_size: 224 or 227 pixels, to download."""

    destination: str
    source: str | None = None
    image_size: int = 227


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("destination", metavar="DST")
    parser.add_argument("--source", metavar="ZIP", help="broden1_224.zip or broden1_227.zip (default: download)")
    parser.add_argument("--image_size", type=int, default=BrodenOptions.image_size, choices=(224, 227),
                        help="which to download")


def prepare_broden(options: BrodenOptions) -> Iterator[str]:
    """Fetch, unpack and check Broden, and write manifest.json; yields lines for people.

    Raises InputError that names the first fault of the archive or of the folder.
    """
    from ibc.data.broden.check import check_broden  # noqa: PLC0415 - Pillow; --help needs none

    destination, source = Path(options.destination), options.source
    unfinished = destination / ".unpacking"
    if source is not None or unfinished.exists() or not (destination / "index.csv").exists():
        download = destination / "download"
        archive = Path(source) if source is not None else fetch(ADDRESS.format(size=options.image_size), download)
        with only_writer(destination):
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
    """Write the files that are missing or have another content. Each appears whole under its name, or not at all."""
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
               if not _is_unpacked(path, member)}
    needed, free = sum(member.size for member in missing.values()), shutil.disk_usage(destination).free
    if needed > free:
        raise input_error(destination, f"{free / 1e9:.2f} GB free", f"{needed / 1e9:.2f} GB", "choose another disk")
    aside = destination / ".unpacked"
    with Progress(len(missing), "unpacking", "files") as bar:
        for path, member in missing.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with errors_name(path, aside):
                with open(aside, "wb") as handle:
                    handle.writelines(_parts(archive, member))
                os.replace(aside, path)
            bar.update()


def _parts(archive: Path, member: Member) -> Iterator[bytes]:
    try:
        yield from member_parts(member)
    except OSError as error:
        raise input_error(archive, f"'{member.name}' damaged ({error})", "a whole archive", "fetch it again") from None


def _is_unpacked(path: Path, member: Member) -> bool:
    """Whether a file holds the content of a member: by size, and by the checksum where the archive has one."""
    if not path.is_file() or path.stat().st_size != member.size:
        return False
    return member.kind not in ("stored", "deflated") or _checksum(path) == member.crc


def _checksum(path: Path) -> int:
    checksum = 0
    with open(path, "rb") as handle:
        while part := handle.read(_PART):
            checksum = zlib.crc32(part, checksum)
    return checksum


DATA_SET = DataSet(summary="Broden for network dissection, from its official address or a local zip",
                   description="Fetch Broden, unpack and check it; a folder that holds it already is checked.",
                   example="datasets/broden1_227", add_flags=_add_flags, options=BrodenOptions, prepare=prepare_broden)
