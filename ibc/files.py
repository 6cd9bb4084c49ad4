"""Files that are written whole or not at all, folders that one command at a time writes to, and hashes.

The content of a file goes to a temporary one in the same folder, which is flushed to disk and renamed. So a reader
never sees half a file, and an interruption leaves the old one or the new one. Each temporary file is locked as long as
its writer lives, in whatever way that ends. So a later command knows what a killed one left, and deletes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Collection, Iterator
from functools import cache
from io import FileIO
from pathlib import Path
from typing import IO, Any

from ibc.errors import input_error

# .NAME.ibc-12345678.tmp; earlier versions: .NAME.12345.tmp
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(ibc-[0-9a-f]{8}|(?P<old>\d+))\.tmp", re.DOTALL)
_LONGEST_NAME = 220  # bytes of a name that are kept in that of its temporary file; a file system allows 255
LOCK_SECONDS = 5.0   # that the end of another command may take


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "wb", *, sync: bool = True, **open_args: Any) -> Iterator[IO]:
    """Open a temporary file for writing, which becomes ``path`` when the block ends without an exception.

    Makes the folder if it is missing. After an exception (or a kill) the old file, if any, is as it was. A link is
    followed. What is no regular file (``/dev/null``, a pipe) is written to directly. Text is UTF-8 with ``\\n`` at the
    end of lines. sync: wait for the disk, so that not even a power cut leaves half a file; without it many small files
    are quick. An OSError names ``path``, not the temporary file.
    """
    named, path = path, Path(os.path.realpath(path) if os.path.islink(path) else path)
    if "b" not in mode:
        open_args.setdefault("encoding", "utf-8")
        open_args.setdefault("newline", "\n")
    if _is_special(named):
        with errors_name(named), open(named, mode, **open_args) as handle:
            yield handle
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    _clean_once(os.fspath(path.parent))
    temporary = _temporary_name(path)
    try:
        with errors_name(named, temporary), open(temporary, mode, opener=_create_locked, **open_args) as handle:
            yield handle
            handle.flush()
            if sync:
                os.fsync(handle.fileno())
            os.replace(temporary, path)  # before the lock ends
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@contextlib.contextmanager
def errors_name(path: str | os.PathLike, temporary: str | os.PathLike | None = None) -> Iterator[None]:
    """Inside, an OSError that names no file, or the temporary one, names ``path``, which its reader knows."""
    try:
        yield
    except OSError as error:
        unknown = (None, None if temporary is None else os.fspath(temporary))
        if error.filename is None or os.fspath(error.filename) in unknown:
            error.filename, error.filename2 = os.fspath(path), None
        raise


def remove_leftovers(folder: str | os.PathLike, names: Collection[str] | None = None) -> None:
    """Delete the temporary files of killed commands in ``folder``, also those of earlier versions.

    names: only those that were to become a file of such a name. Files that are being written stay.
    """
    for entry in _temporary_files(folder):
        found = _TEMPORARY.fullmatch(entry)
        if found and (names is None or found["name"] in names):
            _remove_unlocked(os.path.join(folder, entry))


@contextlib.contextmanager
def only_writer(folder: str | os.PathLike, patience: float = LOCK_SECONDS) -> Iterator[None]:
    """Makes the folder if it is missing, and keeps it for this process: no other one is inside such a block.

    Raises InputError where another process keeps it for more than ``patience`` seconds, by default what its end may
    take. Nothing is left in the folder: its descriptor is what is locked. A file system that knows no locks (some on a
    network) keeps nobody out.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise input_error(folder, "a file", "a folder to write to") from None
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    _close_in_children()
    _locked.add(descriptor)
    try:
        deadline = time.monotonic() + patience
        while not _lock(descriptor):
            if time.monotonic() > deadline:
                raise input_error(folder, "another command that is writing to it", "one at a time",
                                  "wait for its end, or choose another folder")
            time.sleep(0.1)
        yield
    finally:
        _locked.discard(descriptor)
        os.close(descriptor)


def _is_special(path: str | os.PathLike) -> bool:
    """Whether there is something that is neither a regular file nor a folder."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _temporary_name(path: Path) -> Path:
    name = os.fsdecode(os.fsencode(path.name)[:_LONGEST_NAME])
    return path.with_name(f".{name}.ibc-{secrets.token_hex(4)}.tmp")


def _create_locked(path: str, flags: int) -> int:
    """Create a temporary file and lock it. One that ``_remove_unlocked`` took away between the two is made again."""
    while True:
        with contextlib.suppress(FileExistsError):  # it is about to be taken away
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            if _lock(descriptor) and os.path.exists(path):
                return descriptor
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a file or a folder for this process; False where another one has it. True also where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _temporary_files(folder: str | os.PathLike) -> list[str]:
    try:
        with os.scandir(os.fspath(folder)) as entries:
            return [entry.name for entry in entries if entry.name.endswith(".tmp")]
    except OSError:
        return []


@cache
def _clean_once(folder: str) -> None:
    """Delete what killed commands left there, when this process writes to the folder for the first time."""
    for entry in _temporary_files(folder):
        found = _TEMPORARY.fullmatch(entry)
        if found and found["old"] is None:  # .NAME.12345.tmp may be another program's
            _remove_unlocked(os.path.join(folder, entry))


def _remove_unlocked(path: str) -> None:
    """Delete a temporary file, unless somebody is writing it, or nobody can tell."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
        finally:
            os.close(descriptor)


_locked: set[int] = set()


@cache
def _close_in_children() -> None:
    """Forked processes give up their copy of a locked folder, so that the lock ends with the process that took it."""
    def close() -> None:
        for descriptor in _locked:
            os.close(descriptor)
        _locked.clear()

    os.register_at_fork(after_in_child=close)


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
