"""Where images come from: a folder, a zip or a tar, read in place and never unpacked.

``list_members`` names every file of a source and where its bytes lie; ``read_member`` reads them in any process. Only a
compressed tar cannot be entered in the middle: its members are *streamed*, read once in file order by
``stream_members``. Names that leave an archive, and links, are refused, since file names on disk are made from them.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from io import RawIOBase
from pathlib import Path, PurePosixPath
from typing import Any

from ibc.arrays.limits import MemoryLimit
from ibc.data.walk import LeftOut, unwanted_kind, walk_files
from ibc.data.zip_reader import DamagedMember, list_zip, read_zip_member, zip_member_parts
from ibc.datasets.building.other_kinds import refuse_other_kinds
from ibc.errors import InputError, input_error
from ibc.files import open_regular
from ibc.foreign_names import leads_out
from ibc.progress import track

ARCHIVE_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
# What tarfile and the decompressors answer damaged data with.
_TAR_ERRORS = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, LookupError,
               ArithmeticError, MemoryError, RuntimeError)
_MOST_HEADER = 1 << 20  # bytes of a long name or of other facts of one entry
_MOST_ENDS = 16         # times that the end of a compressed tar may be read
_PART = 1 << 20
_BOMB = 1 << 32  # bytes above which a compressed tar may not grow to more than ``_LARGEST_RATIO`` times its size
_LARGEST_RATIO = 100


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a source.

    name: its path inside the source, with "/". size: bytes of its content. container: the file on disk that holds it.
    kind: how it is read. "file": it is the container. "slice": ``size`` bytes of the container from ``offset``.
    "stored", "deflated": a member of a zip, whose local header is at ``offset``; it takes ``packed`` bytes there, and
    ``crc`` is its checksum. "stream": ``entry`` of a compressed tar, which is the container, or ``inner`` in it.
    stamp: with ``size`` it tells the content from one that replaced it: the time of change of the file, or of the tar;
    the checksum in a zip.
    """

    name: str
    size: int
    container: str
    kind: str
    offset: int = 0
    packed: int = 0
    crc: int = 0
    inner: str = ""
    entry: str = ""
    stamp: str = ""


def list_members(source: str | os.PathLike, nested: bool = False,
                 wanted: Callable[[str], bool] = lambda name: True, *, encoding: str | None = None,
                 notes: list[str] | None = None) -> list[Member]:
    """The wanted files of a folder, zip or tar, sorted by name. Hidden files and those of desktops are left out.

    With ``nested``, archives inside the source are entered: a.tar that holds x.jpg gives a/x.jpg. encoding: of file
    names in a zip that does not say how they are encoded. notes: takes what the user should know of the source. Raises
    InputError for a missing source, a damaged archive or one of another kind, and for a link or an unsafe name in an
    archive; OSError for a folder that may not be read.
    """
    path = Path(source)
    left_out = LeftOut()
    if path.is_dir():
        members = _walk(path, left_out)
    elif path.is_file():
        if encoding and not zipfile.is_zipfile(path):
            raise input_error("--encoding", encoding, "a zip as the source", "leave it out")
        members = _list_archive(path, encoding, notes)
    else:
        raise input_error(path, "no such file or folder", "a folder, a zip or a tar")
    if nested:
        members = track((found for member in members for found in _enter(member)), f"listing {path.name}", unit="files")
    by_name: dict[str, Member] = {}
    for member in members:  # in an archive a later entry replaces an earlier one
        if kind := unwanted_kind(member.name):
            left_out.add(kind, member.name)
        elif wanted(member.name):
            by_name[member.name] = member
    if notes is not None and left_out.names:
        notes.append(f"left out: {left_out}")
    if notes is not None and left_out.empty:
        notes.append(f"{len(left_out.empty)} folders are empty, such as '{min(left_out.empty)}'")
    return [by_name[name] for name in sorted(by_name)]


def read_files(members: Iterable[Member]) -> dict[str, bytes]:
    """Name -> content of a few members of any kind, those of compressed tars included.

    Raises InputError where they are larger than ``ibc.arrays.limits`` allows, and for one that is damaged.
    """
    found: dict[str, bytes] = {}
    streams: dict[tuple[str, str], dict[str, str]] = {}
    limits: dict[str, MemoryLimit] = {}
    for member in members:
        if member.container not in limits:
            limits[member.container] = MemoryLimit(member.container, os.path.getsize(member.container), "content")
        limits[member.container].take(member.size, f"the content of '{member.name}'")
        if member.kind == "stream":
            streams.setdefault((member.container, member.inner), {})[member.entry] = member.name
        else:
            try:
                found[member.name] = read_member(member)
            except OSError as error:
                raise _damaged(member.container, error) from None
    for (container, inner), names in streams.items():
        found.update((names[entry], data) for entry, data in stream_members(container, inner, names))
    return found


def read_member(member: Member) -> bytes:
    """Content of a member of any kind but "stream". Raises OSError where it is missing or damaged."""
    if member.kind == "file":
        with open_regular(member.container) as handle:
            return handle.readall()
    if member.kind == "slice":
        return _pread(member.container, member.offset, member.size)
    try:
        return read_zip_member(_descriptor(member.container), member.offset, member.packed, member.size,
                               deflated=member.kind == "deflated", crc=member.crc)
    except DamagedMember as error:
        raise OSError(error.reason) from None


def member_parts(member: Member) -> Iterator[bytes]:
    """Content of a member of any kind but "stream", in parts: it may be of any size. Raises OSError as it does."""
    if member.kind in ("stored", "deflated"):
        try:
            yield from zip_member_parts(_descriptor(member.container), member.offset, member.packed, member.size,
                                        deflated=member.kind == "deflated", crc=member.crc)
        except DamagedMember as error:
            raise OSError(error.reason) from None
    elif member.kind == "file":
        with open_regular(member.container) as handle:
            while part := handle.read(_PART):
                yield part
    else:
        for start in range(0, member.size, _PART):
            yield _pread(member.container, member.offset + start, min(_PART, member.size - start))


def stream_members(container: str, inner: str, wanted: Container[str]) -> Iterator[tuple[str, bytes]]:
    """(entry, content) of the wanted entries of a compressed tar, in the order of the tar, in one pass.

    ``inner``: the name of the tar in the container; empty: it is the container. Raises InputError where it is damaged.
    """
    with _open_stream(container, inner) as tar:
        try:
            for entry in _entries(tar):
                name = _safe_name(container, entry.name)
                if entry.isreg() and name in wanted:
                    handle = tar.extractfile(entry)
                    yield name, handle.read() if handle else b""
        except InputError:
            raise
        except _TAR_ERRORS as error:
            raise _damaged(container, error) from error


def _walk(folder: Path, left_out: LeftOut) -> Iterator[Member]:
    for file in walk_files(folder, left_out):  # those that cannot be read are told of when they are
        yield Member(file.name, file.size, file.path, "file", stamp=f"{file.changed}" if file.changed else "")


def _list_archive(path: Path, encoding: str | None = None, notes: list[str] | None = None) -> Iterator[Member]:
    try:
        if zipfile.is_zipfile(path):
            yield from _list_zip(path, encoding, notes)
        else:
            refuse_other_kinds(path)
            stamp = f"{os.stat(path).st_mtime_ns}"
            if _is_compressed(path):
                yield from _list_stream(str(path), "", stamp)
            else:
                with tarfile.open(path, "r:", tarinfo=_Entry) as tar:
                    yield from _list_tar(tar, str(path), 0, stamp)
    except InputError:
        raise
    except (*_TAR_ERRORS, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error


def _list_zip(path: Path, encoding: str | None = None, notes: list[str] | None = None) -> Iterator[Member]:
    try:
        entries = list_zip(path, encoding)
    except LookupError:
        raise input_error("--encoding", f"'{encoding}'", "an encoding such as gbk, cp932 or cp1252") from None
    except UnicodeError:
        raise input_error("--encoding", f"{encoding}, in which the names of {path.name} are not written",
                          "the encoding of the system that made the zip, such as gbk, cp932 or cp1252") from None
    guessed = [entry.name for entry in entries if entry.guessed]
    if guessed and notes is not None:
        notes.append(f"{path.name} does not say how {len(guessed)} names are encoded; they were read as cp437, as in "
                     f"'{guessed[0]}'; if that looks wrong, give --encoding: gbk, cp932, big5, cp1251 or another")
    for entry in entries:
        name = _safe_name(path, entry.name.replace("\\", "/"))
        if entry.link:
            raise _unsafe(path, entry.name, "a link")
        if entry.folder or not name:
            continue
        if entry.encrypted:
            raise input_error(path, f"'{name}' encrypted", "a zip without password")
        if not entry.readable:
            raise input_error(path, f"'{name}' compressed by method {entry.method}", "stored or deflated",
                              "unpack it and give the folder")
        yield Member(name, entry.size, str(path), "deflated" if entry.deflated else "stored", entry.offset,
                     entry.stored_size, entry.crc, stamp=f"{entry.crc:08x}")


def _list_tar(tar: tarfile.TarFile, container: str, base: int, stamp: str) -> Iterator[Member]:
    for entry in _entries(tar):
        name = _safe_name(container, entry.name)
        _refuse_links(container, entry)
        if entry.isreg() and name:
            yield Member(name, entry.size, container, "slice", base + entry.offset_data, stamp=stamp)


def _entries(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The entries of a tar. Raises ReadError where one leads back: tarfile would read it again without end."""
    last = -1
    for entry in tar:
        if entry.size < 0 or entry.offset <= last:
            raise tarfile.ReadError(f"an entry of {entry.size} bytes at byte {entry.offset}, after byte {last}")
        last = entry.offset
        yield entry
        tar.members = []  # type: ignore[attr-defined]  # a million headers need not stay in memory


def _list_stream(container: str, inner: str, stamp: str) -> Iterator[Member]:
    with _open_stream(container, inner) as tar:
        for entry in _entries(tar):
            name = _safe_name(container, entry.name)
            _refuse_links(container, entry)
            if entry.isreg() and name:
                yield Member(name, entry.size, container, "stream", inner=inner, entry=name, stamp=stamp)


def _enter(member: Member) -> Iterator[Member]:
    """The files of a member that is an archive; the member itself where it is none."""
    name = member.name.lower()
    ending = next((ending for ending in ARCHIVE_ENDINGS if name.endswith(ending)), None)
    if ending is None or member.kind == "stream" or (ending == ".zip" and member.kind != "file"):
        yield member
        return
    folder = member.name[: len(name) - len(ending)]
    try:
        for found in _list_inside(member, ending):
            yield replace(found, name=f"{folder}/{found.name}")
    except InputError:
        raise
    except _TAR_ERRORS as error:
        raise _damaged(f"{member.container}: {member.name}", error) from error


def _list_inside(member: Member, ending: str) -> Iterator[Member]:
    if member.kind == "file":
        for found in _list_archive(Path(member.container)):
            yield from _enter(found)
    elif member.kind == "slice" and ending == ".tar":
        window = _Window(member.container, member.offset, member.size)
        with tarfile.open(fileobj=window, mode="r:", tarinfo=_Entry) as tar:
            yield from _list_tar(tar, member.container, member.offset, member.stamp)
    else:
        yield from _list_stream(member.container, member.name, member.stamp)


def _open_stream(container: str, inner: str) -> tarfile.TarFile:
    file: Any
    if not inner:
        size, file = os.path.getsize(container), open(container, "rb")  # noqa: SIM115 - closed with what reads it
    else:
        outer = next((member for member in _list_archive(Path(container)) if member.name == inner), None)
        if outer is None:
            raise input_error(container, f"no member '{inner}'", "the archive as it was listed", "run it again")
        size = outer.size
        if outer.kind == "slice":
            file = _Window(container, outer.offset, outer.size)
        else:
            archive = zipfile.ZipFile(container)
            file = archive.open(next(entry for entry in archive.infolist() if entry.header_offset == outer.offset))
    try:
        return tarfile.open(fileobj=_Expanded(file, size), mode="r|", tarinfo=_Entry)  # type: ignore[call-overload]
    except _TAR_ERRORS as error:
        raise _damaged(container, error) from error


_OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file), b"BZh": bz2.BZ2File, b"\xfd7zXZ": lzma.LZMAFile}


class _Expanded:
    """What a compressed file expands to, read part by part. Of a bomb, small but without end, the reading ends."""

    def __init__(self, file: Any, size: int):
        """file: at its beginning. size: of it, in bytes."""
        buffered = io.BufferedReader(file)
        head = buffered.peek(8)
        opener = next((opener for start, opener in _OPENERS.items() if head.startswith(start)), None)
        self.file = buffered if opener is None else opener(buffered)
        self.left, self.ends = max(_BOMB, _LARGEST_RATIO * size), 0

    def read(self, size: int) -> bytes:
        data = self.file.read(size)
        self.left -= len(data)
        self.ends += not data
        if self.ends > _MOST_ENDS:  # tarfile would go on to the end of the entry, wherever the header says that it is
            raise tarfile.ReadError("it ends in the middle of an entry")
        if self.left < 0:
            raise tarfile.ReadError(f"it expands to more than {_LARGEST_RATIO} times its size")
        return data


class _Entry(tarfile.TarInfo):
    """An entry of a tar whose size, and that of its header, are checked before anything of it is read."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.size < 0:
            raise tarfile.ReadError(f"an entry of {self.size} bytes")
        if self.size > _MOST_HEADER and self.type in _HEADERS:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(tar)  # type: ignore[misc]


_HEADERS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE)


class _Window(RawIOBase):
    """A part of a file, ``size`` bytes from ``offset``, as a file of its own: a tar inside a tar."""

    def __init__(self, container: str, offset: int, size: int):
        self.container, self.offset, self.size, self.position = container, offset, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.position = offset + (0, self.position, self.size)[whence]
        return self.position

    def read(self, size: int = -1) -> bytes:
        left = max(self.size - self.position, 0)
        size = left if size is None or size < 0 else min(size, left)
        data = os.pread(_descriptor(self.container), size, self.offset + self.position) if size else b""
        self.position += len(data)
        return data


def _descriptor(container: str) -> int:
    """An open descriptor of an archive, one in each process; ``os.pread`` lets several readers share it."""
    state = os.stat(container)
    return _opened(container, state.st_ino, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _opened(container: str, *stamp: int) -> int:
    """``stamp``: tells the file from one that replaced it."""
    return os.open(container, os.O_RDONLY)


def _pread(container: str, offset: int, size: int) -> bytes:
    descriptor = _descriptor(container)
    left = os.fstat(descriptor).st_size - offset
    data = os.pread(descriptor, size, offset) if 0 <= size <= left else b""
    if len(data) != size:
        raise OSError("archive ends in the middle of the file")
    return data


def _is_compressed(path: Path) -> bool:
    with open(path, "rb") as handle:
        return handle.read(8).startswith(tuple(_OPENERS))


def _safe_name(archive: str | os.PathLike, name: str) -> str:
    """The name of an entry in normal form. Raises InputError for one that leads out of the archive."""
    parts = PurePosixPath(name).parts
    if leads_out(name) or (len(name) > 1 and name[1] == ":"):
        raise _unsafe(archive, name, "a path that leaves the archive")
    return "/".join(parts)


def _refuse_links(archive: str, entry: tarfile.TarInfo) -> None:
    if entry.issym() or entry.islnk():
        raise _unsafe(archive, entry.name, "a link")
    if entry.sparse is not None:
        raise input_error(archive, f"sparse file '{entry.name}'", "plain files", "unpack it and give the folder")


def _unsafe(archive: str | os.PathLike, name: str, what: str) -> InputError:
    return input_error(archive, f"{what}: '{name}'", "relative names without '..', and plain files only",
                       "get the archive from a source you trust")


def _damaged(archive: str | os.PathLike, error: Exception) -> InputError:
    return input_error(archive, f"a damaged archive ({error or type(error).__name__})", "a readable zip or tar",
                       "compare its size or checksum with the publisher's, and fetch it again")
