"""Where images come from: a folder, a zip or a tar, read in place and never unpacked.

``list_members`` names every file of a source and where its bytes lie; ``read_member`` reads them in any process. Only a
compressed tar cannot be entered in the middle: its members are *streamed*, read once in file order by
``stream_members``. Names that leave an archive, and links, are refused, since file names on disk are made from them.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ibc.arrays.limits import MemoryLimit
from ibc.data.walk import LeftOut, unwanted_kind, walk_files
from ibc.data.zip_reader import DamagedMember, list_zip, read_zip_member, zip_member_parts
from ibc.datasets.building.file_parts import FilePart, descriptor, read_part
from ibc.datasets.building.other_kinds import refuse_other_kinds
from ibc.datasets.building.tar_reader import TAR_ERRORS, is_compressed, open_compressed, open_tar, tar_entries
from ibc.errors import InputError, input_error
from ibc.files import open_regular
from ibc.foreign_names import leads_out
from ibc.progress import track

ARCHIVE_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
_PART = 1 << 20


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
        return read_part(member.container, member.offset, member.size)
    try:
        return read_zip_member(descriptor(member.container), member.offset, member.packed, member.size,
                               deflated=member.kind == "deflated", crc=member.crc)
    except DamagedMember as error:
        raise OSError(error.reason) from None


def member_parts(member: Member) -> Iterator[bytes]:
    """Content of a member of any kind but "stream", in parts: it may be of any size. Raises OSError as it does."""
    if member.kind in ("stored", "deflated"):
        try:
            yield from zip_member_parts(descriptor(member.container), member.offset, member.packed, member.size,
                                        deflated=member.kind == "deflated", crc=member.crc)
        except DamagedMember as error:
            raise OSError(error.reason) from None
    elif member.kind == "file":
        with open_regular(member.container) as handle:
            while part := handle.read(_PART):
                yield part
    else:
        for start in range(0, member.size, _PART):
            yield read_part(member.container, member.offset + start, min(_PART, member.size - start))


def stream_members(container: str, inner: str, wanted: Container[str]) -> Iterator[tuple[str, bytes]]:
    """(entry, content) of the wanted entries of a compressed tar, in the order of the tar, in one pass.

    ``inner``: the name of the tar in the container; empty: it is the container. Raises InputError where it is damaged.
    """
    with _open_stream(container, inner) as tar:
        try:
            for entry in tar_entries(tar):
                name = _safe_name(container, entry.name)
                if entry.isreg() and name in wanted:
                    handle = tar.extractfile(entry)
                    yield name, handle.read() if handle else b""
        except InputError:
            raise
        except TAR_ERRORS as error:
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
            if is_compressed(path):
                yield from _list_stream(str(path), "", stamp)
            else:
                with open_tar(path) as tar:
                    yield from _list_tar(tar, str(path), 0, stamp)
    except InputError:
        raise
    except (*TAR_ERRORS, zipfile.BadZipFile) as error:
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
    for entry in tar_entries(tar):
        name = _safe_name(container, entry.name)
        _refuse_links(container, entry)
        if entry.isreg() and name:
            yield Member(name, entry.size, container, "slice", base + entry.offset_data, stamp=stamp)


def _list_stream(container: str, inner: str, stamp: str) -> Iterator[Member]:
    with _open_stream(container, inner) as tar:
        for entry in tar_entries(tar):
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
    except TAR_ERRORS as error:
        raise _damaged(f"{member.container}: {member.name}", error) from error


def _list_inside(member: Member, ending: str) -> Iterator[Member]:
    if member.kind == "file":
        for found in _list_archive(Path(member.container)):
            yield from _enter(found)
    elif member.kind == "slice" and ending == ".tar":
        window = FilePart(member.container, member.offset, member.size)
        with open_tar(window) as tar:
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
            file = FilePart(container, outer.offset, outer.size)
        else:
            archive = zipfile.ZipFile(container)
            file = archive.open(next(entry for entry in archive.infolist() if entry.header_offset == outer.offset))
    try:
        return open_compressed(file, size)
    except TAR_ERRORS as error:
        raise _damaged(container, error) from error


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
