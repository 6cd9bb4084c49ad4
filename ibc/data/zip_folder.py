"""Data sets in one file: an ordinary zip stands in the place of a data folder.

On a slow disk or a network share, opening 100,000 small files costs more than reading them. A file
of such a data set is called ``pack.zip:member``; ``read_bytes`` takes that as well as a plain path.
"""

from __future__ import annotations

import errno
import os
import posixpath
import struct
import weakref
import zipfile
import zlib
from pathlib import Path

from ibc.errors import InputError, input_error

ENDING = ".zip"
_MARK = f"{ENDING}:"
_ENCRYPTED = 0x1  # a bit of a member's flags
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, ..., lengths of the name and of the extra field
_AGAIN = "write or copy the archive again"


def is_zip_folder(folder: str | os.PathLike) -> bool:
    """Whether a data folder is an archive (it need not exist)."""
    return os.fspath(folder).rstrip("/").endswith(ENDING) and not os.path.isdir(folder)


def member_name(name: str) -> str:
    """Under which name an archive holds the file that a list calls ``name``."""
    return posixpath.normpath(name.lstrip("/"))


def path_in_zip(pack: str | os.PathLike, name: str) -> str:
    """``pack.zip:member`` for a file that a list calls ``name``."""
    return f"{os.fspath(pack).rstrip('/')}:{member_name(name)}"


def file_of(folder: str | os.PathLike, name: str | os.PathLike) -> str:
    """What to read for the file ``name`` of a data folder or archive; an absolute path stays what it is."""
    packed = is_zip_folder(folder) and not os.path.isabs(name)
    return path_in_zip(folder, os.fspath(name)) if packed else str(Path(folder, name))


def read_bytes(file: str | os.PathLike) -> bytes:
    """The content of a plain file or of ``pack.zip:member``, safe in threads and forked processes.

    Raises OSError where there is no such file or member, InputError for a damaged archive.
    """
    found = split(file)
    if found is None:
        with open(file, "rb", buffering=0) as handle:
            return handle.readall()
    archive, member = found
    return (_packs.get(archive) or open_zip_folder(archive)).read(member)


def split(file: str | os.PathLike) -> tuple[str, str] | None:
    """(archive, member) of ``pack.zip:member``; None for the path of a plain file."""
    stem, mark, member = os.fspath(file).partition(_MARK)
    archive = stem + ENDING
    return (archive, member) if mark and (archive in _packs or os.path.isfile(archive)) else None


def open_zip_folder(path: str | os.PathLike) -> ZipFolder:
    """The archive, opened once a process, and again after it was replaced."""
    path = os.fspath(path).rstrip("/")
    pack = _packs.get(path)
    if pack is None or pack.stamp != _stamp(os.stat(path)):
        pack = _packs[path] = ZipFolder(path)
    return pack


class ZipFolder:
    """An open zip whose members, stored or deflated, are read by their position.

    Reading moves no file position and holds the interpreter only briefly. Raises InputError for a
    file that is no whole zip, or that holds members which are encrypted or otherwise compressed.
    """

    def __init__(self, path: str):
        self.path = path
        self.file = open(path, "rb", buffering=0)  # noqa: SIM115  (open as long as someone may read from it)
        weakref.finalize(self, self.file.close)
        self.stamp = _stamp(os.fstat(self.file.fileno()))
        # name -> (place of its header, bytes in the archive, bytes of its content, whether it is deflated)
        self.members: dict[str, tuple[int, int, int, bool]] = {}
        try:
            with zipfile.ZipFile(self.file) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
            raise input_error(path, f"an archive that cannot be read ({error})", "a whole zip", _AGAIN) from None
        for entry in entries:
            if entry.flag_bits & _ENCRYPTED or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise input_error(f"{path}:{entry.filename}", "an encrypted or unusually compressed member",
                                  "stored or deflated ones", "write the archive with python -m ibc.data.prepare pack")
            self.members[entry.filename] = (entry.header_offset, entry.compress_size, entry.file_size,
                                            entry.compress_type == zipfile.ZIP_DEFLATED)

    def read(self, name: str) -> bytes:
        """The content of a member."""
        if name not in self.members:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{self.path}:{name}")
        place, stored, size, deflated = self.members[name]
        header = os.pread(self.file.fileno(), _LOCAL_HEADER.size, place)
        if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\3\4"):
            raise self._damaged(name, "no header where the archive's directory says")
        _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        content = os.pread(self.file.fileno(), stored, place + _LOCAL_HEADER.size + name_length + extra_length)
        if len(content) == stored and deflated:
            try:
                content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, size + 1)
            except zlib.error as error:
                raise self._damaged(name, f"broken data ({error})") from None
        if len(content) != size:
            raise self._damaged(name, f"{len(content)} bytes instead of {size}")
        return content

    def _damaged(self, name: str, found: str) -> InputError:
        return input_error(f"{self.path}:{name}", found, "a whole member", _AGAIN)


def _stamp(state: os.stat_result) -> tuple[int, int, int]:
    return state.st_ino, state.st_size, state.st_mtime_ns


_packs: dict[str, ZipFolder] = {}  # of this process; workers that are forked inherit them
