"""Whole-file habits shared by everything that writes: write aside then rename, hash, find.

A reader never sees half a file: the content goes to a temporary name in the same folder, is
flushed to disk and renamed over the target, so an interruption leaves the old file or the new.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "wb", **open_args: Any) -> Iterator[IO]:
    """Open ``path`` for writing aside; it appears under its name only when the block ends well.

    Makes the parent folder. On an exception (or a kill) the old file, if any, is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    if "b" not in mode:
        open_args.setdefault("encoding", "utf-8")
        open_args.setdefault("newline", "\n")
    try:
        with open(aside, mode, **open_args) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(aside, path)
    except OSError as error:
        if error.filename in (None, os.fspath(aside)):
            error.filename, error.filename2 = os.fspath(path), None  # the name that its user knows
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()


def remove_leftovers(folder: str | os.PathLike) -> None:
    """Delete what a killed process was writing aside in ``folder``; nobody else may be writing there."""
    for aside in Path(folder).glob(".*.tmp"):
        aside.unlink(missing_ok=True)


def sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file's content, as hex digits."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
