"""Members of zip archives, listed once and then read by their position.

Reading by position moves no file position, so threads and forked processes can share one descriptor. Used by
``ibc.data.zip_folder`` (data sets in one zip) and by the preparation of published archives.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, ..., lengths of the name and of the extra field
_SIGNATURE = b"PK\3\4"
_LARGEST_RATIO = 1032  # of deflate: a byte stands for at most so many
_PART = 1 << 20
_ENCRYPTED, _UTF8 = 0x1, 0x800  # bits of a member's flags
_UNICODE_PATH = 0x7075  # an extra field


@dataclass(frozen=True, slots=True)
class ZipMember:
    """One entry of an archive's directory.

    offset: where its local header begins. stored_size: bytes in the archive. size: bytes of its content. crc: CRC-32 of
    its content. method: ``zipfile.ZIP_STORED``, ``zipfile.ZIP_DEFLATED`` or another number. encrypted: needs a
    password. link: a symbolic link. folder: a folder, without content. guessed: the archive does not say how the name
    is encoded; it was read by the rule of zip, as cp437.
    """

    name: str
    offset: int
    stored_size: int
    size: int
    crc: int
    method: int
    encrypted: bool
    link: bool
    folder: bool
    guessed: bool = False

    @property
    def deflated(self) -> bool:
        """Whether the content is compressed by deflate."""
        return self.method == zipfile.ZIP_DEFLATED

    @property
    def readable(self) -> bool:
        """Whether ``read_zip_member`` can read it: stored or deflated, and not encrypted."""
        return not self.encrypted and self.method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class DamagedMember(Exception):
    """The content of a member cannot be read.

    The message is a short reason. found: what was found instead, in words that fit ``ibc.errors.input_error``.
    """

    def __init__(self, reason: str, found: str):
        super().__init__(reason, found)
        self.reason, self.found = reason, found

    def __str__(self) -> str:
        return self.reason


def list_zip(archive: str | os.PathLike | BinaryIO, encoding: str | None = None) -> list[ZipMember]:
    """All entries, in the order of the archive's directory.

    Names are UTF-8 where the archive marks them so. Without the mark they are read in ``encoding``; None: as UTF-8 if
    all of them are (as a Mac writes them), else as cp437, the rule of zip. Raises ``zipfile.BadZipFile`` for what is no
    whole zip, UnicodeError for names that are not in ``encoding``.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the beginning of the file
            raise
        raise zipfile.BadZipFile("a directory outside of the file") from None
    except (NotImplementedError, ValueError, ArithmeticError, LookupError, MemoryError, struct.error) as error:
        raise zipfile.BadZipFile(str(error) or type(error).__name__) from None  # answers to a damaged directory
    unmarked = [raw for entry in entries if (raw := _unmarked_name(entry)) is not None]
    guess = encoding or ("utf-8" if all(map(_is_utf8, unmarked)) else "cp437")
    return [ZipMember(_name(entry, guess), entry.header_offset, entry.compress_size, entry.file_size, entry.CRC,
                      entry.compress_type, bool(entry.flag_bits & _ENCRYPTED), stat.S_ISLNK(entry.external_attr >> 16),
                      entry.filename.endswith("/"),
                      guess == "cp437" and not encoding and _unmarked_name(entry) is not None)
            for entry in entries]


def _name(entry: zipfile.ZipInfo, encoding: str) -> str:
    """The whole name of an entry; ``encoding``: of names without a mark."""
    raw = _unmarked_name(entry)
    if raw is None:
        return _unicode_path(entry) or entry.filename
    return raw.decode(encoding).split("\0", 1)[0]


def _unmarked_name(entry: zipfile.ZipInfo) -> bytes | None:
    """The bytes of a name of which the archive does not say how it is encoded; None where that is known."""
    if entry.flag_bits & _UTF8 or entry.orig_filename.isascii() or _unicode_path(entry) is not None:
        return None
    return entry.orig_filename.encode("cp437")  # as zipfile has read it


def _unicode_path(entry: zipfile.ZipInfo) -> str | None:
    """The name in UTF-8 that some programs (Info-ZIP, WinRAR) add to an entry whose own name is of a code page."""
    if entry.flag_bits & _UTF8:
        return None
    extra, position = entry.extra, 0
    own = zlib.crc32(entry.orig_filename.encode("cp437")).to_bytes(4, "little")
    while position + 4 <= len(extra):
        field, size = struct.unpack_from("<HH", extra, position)
        content = extra[position + 4 : position + 4 + size]
        if field == _UNICODE_PATH and content[:5] == b"\1" + own and _is_utf8(content[5:]):
            return content[5:].decode() or None
        position += 4 + size
    return None


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def read_zip_member(descriptor: int, offset: int, stored_size: int, size: int, *, deflated: bool,
                    crc: int | None = None) -> bytes:
    """The content of the member whose local header begins at ``offset`` of an open archive.

    ``descriptor``: of the open file. The other numbers are those of ``ZipMember``; the checksum is compared where
    ``crc`` is given. Takes about ``size`` bytes, whatever is in the member. Raises DamagedMember.
    """
    start = _start_of_content(descriptor, offset, stored_size, size, deflated)
    content = os.pread(descriptor, stored_size, start)
    if deflated:
        try:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, size + 1)  # no more, whatever it holds
        except zlib.error as error:
            raise _broken(error) from None
    if len(content) != size:
        raise DamagedMember("damaged zip entry (checksum)", f"{len(content)} bytes instead of {size}")
    if crc is not None and zlib.crc32(content) != crc:
        raise _other_checksum()
    return content


def zip_member_parts(descriptor: int, offset: int, stored_size: int, size: int, *, deflated: bool,
                     crc: int) -> Iterator[bytes]:
    """``read_zip_member`` in parts of at most a megabyte, for members of any size; the checksum is compared last."""
    start = _start_of_content(descriptor, offset, stored_size, size, deflated)
    end, found, checksum = start + stored_size, 0, 0
    expander = zlib.decompressobj(-zlib.MAX_WBITS) if deflated else None
    waiting = b""
    while found < size:
        if not waiting:
            waiting = os.pread(descriptor, min(_PART, end - start), start)
            start += len(waiting)
        part, waiting = waiting, b""
        if expander is not None:
            try:
                part = expander.decompress(part, _PART)
            except zlib.error as error:
                raise _broken(error) from None
            waiting = expander.unconsumed_tail
            if not part and not waiting and (expander.eof or start >= end):
                break
        elif not part:
            break
        found += len(part)
        checksum = zlib.crc32(part, checksum)
        yield part[: size - found] if found > size else part
    if found != size:
        raise DamagedMember("damaged zip entry (checksum)", f"{found} bytes instead of {size}")
    if checksum != crc:
        raise _other_checksum()


def _start_of_content(descriptor: int, offset: int, stored_size: int, size: int, deflated: bool) -> int:
    """Where the content of a member begins. Raises DamagedMember for numbers that cannot be those of a member."""
    header = os.pread(descriptor, _LOCAL_HEADER.size, offset) if 0 <= offset < 2**62 else b""
    if len(header) < _LOCAL_HEADER.size or not header.startswith(_SIGNATURE):
        raise DamagedMember("archive ends in the middle of the file" if len(header) < _LOCAL_HEADER.size
                            else "damaged zip entry", "no header where the archive's directory says")
    # The local header repeats name and extra field, the latter not always with the length that the directory says.
    _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    start = offset + _LOCAL_HEADER.size + name_length + extra_length
    left = max(os.fstat(descriptor).st_size - start, 0)
    if stored_size > left:
        raise DamagedMember("archive ends in the middle of the file", f"{left} bytes instead of {stored_size}")
    if deflated and size > _LARGEST_RATIO * (stored_size + 1):
        raise DamagedMember("damaged zip entry (size)", f"{stored_size} bytes that can never become {size}")
    return start


def _broken(error: zlib.error) -> DamagedMember:
    return DamagedMember(f"damaged zip entry ({error})", f"broken data ({error})")


def _other_checksum() -> DamagedMember:
    return DamagedMember("damaged zip entry (checksum)", "content with another checksum than the directory says")
