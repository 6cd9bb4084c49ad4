"""Data sets in one file: an ordinary zip takes the place of a data folder.

On a slow disk or a network share, opening 100,000 small files costs more than reading them. A file of such a data set
is written ``pack.zip:member``; ``read_bytes`` takes that as well as the path of a plain file.
"""

from __future__ import annotations

import errno
import os
import posixpath
import weakref
import zipfile
from pathlib import Path

from ibc.arrays.limits import MemoryLimit
from ibc.data.limits import RAISE
from ibc.data.zip_reader import DamagedMember, ZipMember, list_zip, read_zip_member
from ibc.errors import input_error
from ibc.files import open_regular

ENDING = ".zip"
_MARK = f"{ENDING}:"
_WRITE_AGAIN = "write or copy the archive again"


def is_zip_folder(folder: str | os.PathLike) -> bool:
    """Whether a data folder is named like a zip archive (which need not exist) and is no real folder."""
    return os.fspath(folder).rstrip("/").endswith(ENDING) and not os.path.isdir(folder)


def member_name(name: str) -> str:
    """The name of the member that holds the file which a list calls ``name``."""
    return posixpath.normpath(name.lstrip("/"))


def path_in_zip(archive: str | os.PathLike, name: str) -> str:
    """``pack.zip:member`` for the file that a list calls ``name``."""
    return f"{os.fspath(archive).rstrip('/')}:{member_name(name)}"


def file_of(folder: str | os.PathLike, name: str | os.PathLike) -> str:
    """What to read for the file ``name`` of a data folder or archive; an absolute path stays as it is."""
    in_zip = is_zip_folder(folder) and not os.path.isabs(name)
    return path_in_zip(folder, os.fspath(name)) if in_zip else str(Path(folder, name))


def read_bytes(file: str | os.PathLike, *, regular: bool = False, most: int | None = None) -> bytes:
    """The content of a plain file or of ``pack.zip:member``. Threads and forked processes may call it at once.

    regular: refuse what is no regular file, such as a pipe, which may never end. most: bytes that a file may have.
    Raises OSError where there is no such file or member, InputError for a damaged archive or a file that is too large.
    """
    found = split(file)
    if found is None:
        with open_regular(file) if regular else open(file, "rb", buffering=0) as handle:
            _check_size(file, os.fstat(handle.fileno()).st_size, most)
            return handle.readall()
    archive, member = found
    return (_open_archives.get(archive) or open_zip_folder(archive)).read(member, most)


def _check_size(file: str | os.PathLike, size: int, most: int | None) -> None:
    if most is not None and size > most:
        raise input_error(file, f"a file of {size / 1e6:.0f} MB", f"at most {most / 1e6:.0f} MB", RAISE)


def split(file: str | os.PathLike) -> tuple[str, str] | None:
    """(archive, member) of ``pack.zip:member``; None for the path of a plain file."""
    stem, mark, member = os.fspath(file).partition(_MARK)
    archive = stem + ENDING
    return (archive, member) if mark and (archive in _open_archives or os.path.isfile(archive)) else None


def open_zip_folder(path: str | os.PathLike) -> ZipFolder:
    """The archive. Each process opens it once, and again when the file was replaced."""
    path = os.fspath(path).rstrip("/")
    archive = _open_archives.get(path)
    if archive is None or archive.stamp != _stamp(os.stat(path)):
        archive = _open_archives[path] = ZipFolder(path)
    return archive


class ZipFolder:
    """An open zip whose members, stored or deflated, are read by their position.

    members: name -> entry of the archive's directory. Raises InputError for a file that is no whole zip, or that holds
    encrypted members or members compressed in another way.
    """

    def __init__(self, path: str):
        self.path = path
        self.file = open(path, "rb", buffering=0)  # noqa: SIM115  (stays open as long as someone may read from it)
        weakref.finalize(self, self.file.close)
        self.stamp = _stamp(os.fstat(self.file.fileno()))
        self.members: dict[str, ZipMember] = {}
        try:
            members = list_zip(self.file)
        except zipfile.BadZipFile as error:
            raise input_error(path, f"an archive that cannot be read ({error})", "a whole zip", _WRITE_AGAIN) from None
        for member in members:
            if not member.readable:
                raise input_error(f"{path}:{member.name}", "an encrypted or unusually compressed member",
                                  "stored or deflated ones", "write the archive with python -m ibc.data.prepare pack")
            self.members[member.name] = member

    def read(self, name: str, most: int | None = None) -> bytes:
        """The content of a member. Raises FileNotFoundError without it, InputError where it is damaged.

        most: bytes that it may have; without it, what ``ibc.arrays.limits`` allows for. InputError for more.
        """
        member = self.members.get(name)
        if member is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{self.path}:{name}")
        if most is None:
            MemoryLimit(f"{self.path}:{name}", self.stamp[1], "content").take(member.size, "content")
        _check_size(f"{self.path}:{name}", member.size, most)
        try:
            return read_zip_member(self.file.fileno(), member.offset, member.stored_size, member.size,
                                   deflated=member.deflated)
        except DamagedMember as error:
            raise input_error(f"{self.path}:{name}", error.found, "a whole member", _WRITE_AGAIN) from None


def _stamp(state: os.stat_result) -> tuple[int, int, int]:
    """What tells a file from one that replaced it."""
    return state.st_ino, state.st_size, state.st_mtime_ns


_open_archives: dict[str, ZipFolder] = {}  # of this process; workers that are forked inherit them
