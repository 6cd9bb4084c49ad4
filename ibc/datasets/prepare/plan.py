"""What a preparer decides before any pixel is read: which images, under which names, in which lists."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ibc.datasets.prepare.archive import Member


@dataclass
class Plan:
    """images: stem -> member; the image is stored as ``images/<stem>.<jpg or png>``.

    lists: list file -> rows (stem, labels). classes, attributes: names in the order of ids and columns.
    rule: how the lists were made, for people. facts: more for the manifest. skipped: (name, reason) already known.
    notes: what the user should know at the end. temporary: files that are not needed when the images are made.
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
    """Name, and for an archive its size, of each source, for the manifest."""
    return [{"name": os.path.basename(os.path.abspath(source)),
             **({"bytes": os.path.getsize(source)} if os.path.isfile(source) else {})} for source in sources]


def seeded_order(names: Iterable[str], seed: int) -> list[str]:
    """Names in an order drawn from the seed: by the SHA-256 of "seed:name".

    Stable over versions and machines, and a name added or removed moves no other.
    """
    return sorted(names, key=lambda name: (hashlib.sha256(f"{seed}:{name}".encode(errors="surrogateescape")).digest(),
                                           name))


def name_stems(names: Sequence[str]) -> list[str]:
    """A file name without ending for each source name; where two would meet, the ending is kept in the stem."""
    stems: list[str] = []
    taken: set[str] = set()
    for name in names:
        path = PurePosixPath(name)
        candidates = [str(path.with_suffix("")), name]
        number = 2
        while (stem := candidates.pop(0)).casefold() in taken:
            if not candidates:
                candidates.append(f"{name}~{number}")
                number += 1
        taken.add(stem.casefold())
        stems.append(stem)
    return stems
