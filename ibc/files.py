"""Files that are written whole or not at all, and their hashes.

The content goes to a temporary file in the same folder, which is flushed to disk and renamed. So a reader never sees
half a file, and an interruption leaves the old one or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "wb", **open_args: Any) -> Iterator[IO]:
    """Open a temporary file for writing, which becomes ``path`` when the block ends without an exception.

    Makes the folder if it is missing. After an exception (or a kill) the old file, if any, is as it was. Text is UTF-8
    with ``\\n`` at the end of lines. An OSError names ``path``, not the temporary file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    if "b" not in mode:
        open_args.setdefault("encoding", "utf-8")
        open_args.setdefault("newline", "\n")
    try:
        with open(temporary, mode, **open_args) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.filename in (None, os.fspath(temporary)):
            error.filename, error.filename2 = os.fspath(path), None  # the name that its user knows
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def remove_leftovers(folder: str | os.PathLike) -> None:
    """Delete the temporary files of killed processes in ``folder``; no other process may be writing there."""
    for temporary in Path(folder).glob(".*.tmp"):
        temporary.unlink(missing_ok=True)


def sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file's content, as hex digits."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def open_regular(path: str | os.PathLike) -> FileIO:
    """A file opened to be read, unbuffered. Raises OSError also for a pipe or a device, which may never end."""
    handle = FileIO(os.fspath(path), opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
        handle.close()
        raise OSError(errno.EINVAL, "no regular file (a pipe, a socket or a device)", os.fspath(path))
    return handle
