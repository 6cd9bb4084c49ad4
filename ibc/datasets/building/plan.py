"""What is decided before any pixel is read: which images are prepared, under which names, in which lists."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ibc.datasets.building.archive import Member

_MOST_BYTES = 255 - len(".jpeg")  # of a part of a path, which file systems limit to 255, with room for an ending


@dataclass
class PreparationPlan:
    """The images and lists of a data set, for ``build``.

    name: of the data set. rule: how the lists were made, for people. images: stem -> where the image is; it is stored
    as ``images/<stem>.<jpg or png>``. lists: list file -> rows (stem, labels). classes, attributes: names in the order
    of class ids and attribute columns. seed: that the split was drawn with, None where nothing was drawn. facts: more
    entries of the manifest. skipped: (image, reason) of images that are known not to be usable. notes: what the user
    should know at the end. temporary: files that are deleted once the images are made.
    """

    name: str
    rule: str
    images: dict[str, Member] = field(default_factory=dict)
    lists: dict[str, list[tuple[str, Sequence[int]]]] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    seed: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    temporary: list[Path] = field(default_factory=list)


def describe_sources(*sources: str | os.PathLike) -> list[dict[str, Any]]:
    """The name of each source, and the size in bytes of an archive, for the manifest."""
    return [{"name": os.path.basename(os.path.abspath(source)),
             **({"bytes": os.path.getsize(source)} if os.path.isfile(source) else {})} for source in sources]


def seeded_order(names: Iterable[str], seed: int) -> list[str]:
    """Names in an order drawn from the seed: sorted by the SHA-256 of "seed:name".

    The order is the same on every machine and in every version. A name that is added or removed leaves the order of
    the others as it was.
    """
    return sorted(names, key=lambda name: (hashlib.sha256(f"{seed}:{name}".encode(errors="surrogateescape")).digest(),
                                           name))


def name_stems(names: Sequence[str]) -> list[str]:
    """A file name without ending for each source name. Where two would be equal, the later one keeps its ending.

    A part of a path that leaves no room for an ending, or is longer than any file system takes, is cut, and ends in
    a hash of the whole.
    """
    stems: list[str] = []
    taken: set[str] = set()
    for name in names:
        path = PurePosixPath(name)
        candidates = [str(path.with_suffix("")), name]
        number = 2
        while (stem := _shortened(candidates.pop(0))).casefold() in taken:
            if not candidates:
                candidates.append(f"{name}~{number}")
                number += 1
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def _shortened(stem: str) -> str:
    if len(stem) <= _MOST_BYTES // 4:  # of at most 4 bytes a character
        return stem
    return "/".join(_shortened_part(part) for part in stem.split("/"))


def _shortened_part(part: str) -> str:
    data = part.encode(errors="surrogateescape")
    if len(data) <= _MOST_BYTES:
        return part
    mark = hashlib.sha256(data).hexdigest()[:12]
    return f"{data[: _MOST_BYTES - len(mark) - 1].decode(errors='ignore')}~{mark}"
