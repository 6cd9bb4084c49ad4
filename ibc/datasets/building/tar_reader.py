"""Tars from anyone, plain, compressed or inside another file: read entry by entry, within limits.

Of a header, a size or an expansion that no honest tar has, the reading ends with one of ``TAR_ERRORS``.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# What tarfile and the decompressors answer damaged data with.
TAR_ERRORS = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, LookupError,
               ArithmeticError, MemoryError, RuntimeError)
_MOST_HEADER = 1 << 20  # bytes of a long name or of other facts of one entry
_MOST_ENDS = 16         # times that the end of a compressed tar may be read
_BOMB = 1 << 32         # bytes above which a compressed tar may not grow to more than ``_LARGEST_RATIO`` times its size
_LARGEST_RATIO = 100
# Entries that tell of the next one.
_HEADERS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE)
_OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file), b"BZh": bz2.BZ2File, b"\xfd7zXZ": lzma.LZMAFile}


def is_compressed(path: Path) -> bool:
    """Whether a file begins as gzip, bzip2 or xz do."""
    with open(path, "rb") as handle:
        return handle.read(8).startswith(tuple(_OPENERS))


def open_tar(file: Any) -> tarfile.TarFile:
    """A plain tar, from a path or a file that can seek."""
    name, handle = (None, file) if hasattr(file, "read") else (file, None)
    return tarfile.open(name, "r:", handle, tarinfo=_Entry)


def open_compressed(file: Any, size: int) -> tarfile.TarFile:
    """A tar that is read once, in its order. file: at its beginning, compressed or not. size: of it, in bytes."""
    return tarfile.open(fileobj=_Expanded(file, size), mode="r|", tarinfo=_Entry)  # type: ignore[call-overload]


def tar_entries(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The entries of a tar. Raises ReadError where one leads back: tarfile would read it again without end."""
    last = -1
    for entry in tar:
        if entry.size < 0 or entry.offset <= last:
            raise tarfile.ReadError(f"an entry of {entry.size} bytes at byte {entry.offset}, after byte {last}")
        last = entry.offset
        yield entry
        tar.members = []  # type: ignore[attr-defined]  # a million headers need not stay in memory


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
