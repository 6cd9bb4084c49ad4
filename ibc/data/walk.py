"""One walk over a folder of images: linked folders are entered once, and what is left out is counted by its kind."""

from __future__ import annotations

import os
from dataclasses import dataclass
from stat import S_ISDIR, S_ISREG

_DESKTOP_FILES = frozenset(("thumbs.db", "desktop.ini"))
_SHOWN = 3  # names of each kind


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file below a folder.

    name: its path below the folder, with "/". path: to open it. size: in bytes. changed: when, in nanoseconds. fault:
    why it cannot be read, "" for nothing: no regular file (a pipe, a device), or a link that leads nowhere.
    """

    name: str
    path: str
    size: int
    changed: int
    fault: str = ""


class LeftOut:
    """What a walk leaves out: how many of each kind, and the first names. As a text it is empty for nothing.

    names: of each kind. empty: folders in which there is nothing at all; the text does not tell of them.
    """

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        self.empty: list[str] = []

    def add(self, kind: str, name: str) -> None:
        """Count one file or folder."""
        self.names.setdefault(kind, []).append(name)

    def __str__(self) -> str:
        return "; ".join(f"{len(names)} {kind} ({', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''})"
                         for kind, names in self.names.items())


def walk_files(folder: str | os.PathLike, left_out: LeftOut) -> list[FoundFile]:
    """Every file below a folder, sorted by name, but for those of ``unwanted_kind``, which go to ``left_out``.

    Links to folders are followed after the folders themselves, each folder once: a second way to it goes to
    ``left_out``. Raises OSError for a folder that may not be read: a class would vanish with it.
    """
    found: list[FoundFile] = []
    seen: set[tuple[int, int]] = set()
    folders = [("", os.fspath(folder))]
    links: list[tuple[str, str]] = []
    while folders or links:
        name, path = folders.pop() if folders else links.pop(0)
        state = os.stat(path)
        if (state.st_dev, state.st_ino) in seen:
            left_out.add("linked twice", name)
            continue
        seen.add((state.st_dev, state.st_ino))
        with os.scandir(path) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        if not entries:
            left_out.empty.append(name)
        for entry in entries:
            below = f"{name}/{entry.name}" if name else entry.name
            if kind := unwanted_kind(entry.name):
                left_out.add(kind, below)
            elif _is_folder(entry):
                (links if entry.is_symlink() else folders).append((below, entry.path))
            else:
                found.append(_found(entry, below))
    return sorted(found, key=lambda file: file.name)


def unwanted_kind(name: str) -> str | None:
    """What a file with that path is if no data set means it: hidden, of a desktop, an editor or a file server."""
    for part in name.split("/"):
        if part.startswith("._") or part == "__MACOSX":
            return "of macOS"
        if part == ".ipynb_checkpoints":
            return "checkpoints of notebooks"
        if part.startswith("."):
            return "hidden"
        if part in ("@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"):
            return "of the file system"
        if part.lower() in _DESKTOP_FILES:
            return "of desktops"
    return None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return S_ISDIR(entry.stat().st_mode)
    except OSError:  # a link that leads nowhere, or in a ring
        return False


def _found(entry: os.DirEntry[str], name: str) -> FoundFile:
    try:
        state = entry.stat()
    except OSError:
        return FoundFile(name, entry.path, 0, 0, "a link that leads nowhere")
    return FoundFile(name, entry.path, state.st_size, state.st_mtime_ns,
                     "" if S_ISREG(state.st_mode) else "no regular file")
