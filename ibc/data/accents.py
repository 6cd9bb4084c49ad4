"""File names with accents, found however these are composed.

A Mac stores "é" as "e" and a combining accent, other systems mostly as one character; both look alike. A list from one
system names files from another.
"""

from __future__ import annotations

import os
import unicodedata
from functools import lru_cache

from ibc.data.zip_folder import is_zip_folder, member_name, open_zip_folder, path_in_zip


def composed(name: str) -> str:
    """The name with composed accents (NFC), which two names have in common that look alike."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def find_alike(folder: str | os.PathLike, name: str) -> str | None:
    """The path of the file of ``folder`` (or of the zip) whose name looks like ``name``; None where there is none."""
    if is_zip_folder(folder):
        alike = _members(os.fspath(folder), open_zip_folder(folder).stamp).get(composed(member_name(name)))
        return None if alike is None else path_in_zip(folder, alike)
    path = os.fspath(folder)
    for part in name.split("/"):
        exact = os.path.join(path, part)
        if part.isascii() or os.path.lexists(exact):
            path = exact
        elif (alike := _entries(path or ".").get(composed(part))) is not None:
            path = os.path.join(path, alike)
        else:
            return None
    return path if os.path.exists(path) else None


@lru_cache(maxsize=1024)
def _entries(folder: str) -> dict[str, str]:
    try:
        return {composed(entry): entry for entry in os.listdir(folder)}
    except OSError:
        return {}


@lru_cache(maxsize=4)
def _members(archive: str, stamp: tuple[int, int, int]) -> dict[str, str]:
    return {composed(name): name for name in open_zip_folder(archive).members}
