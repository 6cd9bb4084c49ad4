"""Files of ``torch.save``, of any program, read without running code from them.

torch's own reader of weights takes tensors and plain values only. Where a file holds other objects beside them (numpy
numbers, argparse's Namespace, a whole model), stand-ins take their place: they keep what was saved of the object and do
nothing. So the weights in such a file are found, and nothing of it runs.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import torch

from ibc.arrays.limits import MemoryLimit
from ibc.errors import InputError, input_error
from ibc.files import open_regular
from ibc.stand_ins import Kinds, is_dangerous, named_classes, stand_ins

LEGACY_PICKLES = 5     # of a file that is no archive: magic number, protocol, machine, content, names of storages
LONGEST_CLASS = 1000   # letters of a class's full name
LONGEST_REASON = 200  # letters of what torch says
CHECKERS = 2  # threads that compute checksums
_DO_SAVE = "save the weights alone: torch.save(network.state_dict(), FILE)"
_DO_FETCH = "write or download it again"
_CONTAINER = re.compile(r"Can only (SETITEM|append).*<class '(.+)'>", re.DOTALL)  # torch's words
# How other files begin, what they are, and what is to be done.
_OTHERS = (
    (re.compile(rb"\s*(<!doctype|<html|<\?xml)", re.IGNORECASE), "a web page",
     "the download did not give the file: download it again"),
    (re.compile(rb"version https://git-lfs"), "a pointer of Git LFS", "fetch the file itself: git lfs pull"),
    (re.compile(rb".{8}\{\s*\"", re.DOTALL), "a safetensors file", "write its tensors by torch.save"),
    (re.compile(rb"\x89HDF"), "an HDF5 file", "convert it to a state dict of PyTorch"),
    (re.compile(rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|Rar!|7z\xbc\xaf"), "a compressed file", "unpack it first"),
)


def read_torch_file(path: str | os.PathLike, *, lazy: bool = False, remedy: str = _DO_FETCH) -> Any:
    """What a file holds, its tensors on the CPU and foreign objects as stand-ins (``stand_ins.StandIn``).

    lazy: map tensors from the file where possible, so that only those that are used are read into memory. remedy: what
    is to be done with a damaged file, for messages. Raises InputError, which says what the file is, on anything that is
    not whole or not of ``torch.save``.
    """
    path = Path(path)
    zipped = _check_whole(path, remedy)
    kinds: Kinds = dict.fromkeys(_names(path, remedy, zipped), object)
    encoding = "utf-8"
    while True:
        try:
            with warnings.catch_warnings(), stand_ins(kinds):
                warnings.simplefilter("ignore")  # of torch, on how the file was written
                return torch.load(path, map_location="cpu", weights_only=True, mmap=lazy and zipped, encoding=encoding)
        except OSError:
            raise
        except UnicodeDecodeError as error:
            if encoding == "latin1":
                raise _damaged(path, error, remedy) from None
            encoding = "latin1"  # texts that Python 2 wrote
        except Exception as error:  # of what is no torch file, torch's reader stumbles over anything
            if (container := _CONTAINER.search(str(error))) and kinds.get(container[2]) is object:
                kinds[container[2]] = dict if container[1] == "SETITEM" else list
            else:
                raise _refusal(path, error, zipped, remedy) from None


def _names(path: Path, remedy: str, zipped: bool) -> set[str]:
    """Names of the classes and functions in the file. Raises InputError at those that no weights need."""
    try:
        with open(path, "rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
            names = named_classes(_pickles(handle, content) if zipped else [content] * LEGACY_PICKLES)
    except (ValueError, EOFError, LookupError, MemoryError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}", remedy) from None
    for name in sorted(names):
        if len(name) > LONGEST_CLASS:  # torch searches them by expressions that take the square of their length
            raise _damaged(path, f"a class of {len(name)} letters", remedy)
        if is_dangerous(name):
            raise _dangerous(path, name)
    return names


def _check_whole(path: Path, remedy: str) -> bool:
    """Whether the file is a zip archive, as all torch files of today are, with all its records undamaged.

    Raises InputError where a record is not as its checksum says, or is compressed beyond reason.
    """
    with open_regular(path) as handle:
        head = handle.read(64) or b""
        status = os.fstat(handle.fileno())
    if not head:
        raise input_error(path, "an empty file", "a torch file", remedy)
    for begin, what, do in _OTHERS:
        if begin.match(head):
            raise input_error(path, what, "a file of torch.save", do)
    if head.startswith(pickle.PROTO):  # as torch wrote until 1.5
        return False
    if not head.startswith(b"PK"):
        raise _damaged(path, "it does not begin as a file of torch.save", remedy)
    if not zipfile.is_zipfile(path):
        raise input_error(path, "a file that was cut off", "a whole torch file", remedy)
    _check_records(path, remedy, status.st_size, status.st_mtime_ns)
    return True


@lru_cache(maxsize=16)
def _check_records(path: Path, remedy: str, size: int, _time: int) -> None:
    """Raise InputError unless all records of the archive match their checksums; torch's reader does not look at them.

    size, _time: of the file: an unchanged one is not looked at again.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
            MemoryLimit(path, size).take(sum(record.file_size for record in records), "parts")
            for record in records:
                if not 0 <= record.header_offset < size:
                    raise _damaged(path, f"'{record.filename}' lies outside it", remedy)
                with archive.open(record) as stream:  # its two headers say the same
                    while record.compress_type != zipfile.ZIP_STORED and stream.read(2**20):
                        pass  # somebody packed the archive anew: reading checks the part
        if not any(record.filename.endswith("/data.pkl") for record in records):
            arrays = " (NumPy arrays)" * any(record.filename.endswith(".npy") for record in records)
            raise input_error(path, f"an archive without 'data.pkl'{arrays}", "a file of torch.save", _DO_SAVE)
        plain = [record for record in records if record.compress_type == zipfile.ZIP_STORED and record.CRC]
        with open(path, "rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content, \
                ThreadPoolExecutor(CHECKERS) as pool:
            sums = list(pool.map(lambda record: _checksum(content, record), plain))
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise _damaged(path, error, remedy) from None
    for record, found in zip(plain, sums, strict=True):
        if found != record.CRC:
            raise _damaged(path, f"the checksum of '{record.filename}' does not match", remedy)


def _pickles(handle: IO[bytes], content: mmap.mmap) -> Iterator[io.BytesIO]:
    """The pickle of an archive, of which a damaged length reads no more than there is."""
    with zipfile.ZipFile(handle) as archive:
        for record in archive.infolist():
            if record.filename.endswith("/data.pkl"):
                stored = record.compress_type == zipfile.ZIP_STORED
                yield io.BytesIO(content[_place(content, record)] if stored else archive.read(record))


def _checksum(content: mmap.mmap, record: zipfile.ZipInfo) -> int:
    """CRC-32 of a stored record; -1 where it does not lie in the file."""
    place = _place(content, record)
    if place.stop > len(content):
        return -1
    with memoryview(content) as view, view[place] as own:
        return zlib.crc32(own)


def _place(content: mmap.mmap, record: zipfile.ZipInfo) -> slice:
    """Where the bytes of a stored record lie."""
    header = record.header_offset
    names = int.from_bytes(content[header + 26 : header + 28], "little")
    extra = int.from_bytes(content[header + 28 : header + 30], "little")
    begin = header + 30 + names + extra
    return slice(begin, begin + record.file_size)


def _refusal(path: Path, error: Exception, zipped: bool, remedy: str) -> InputError:
    """The error for a file that torch's reader does not take, in words of what is in it."""
    reason = str(error).split("\n", 1)[0].split(". ", 1)[0]
    if "TorchScript" in str(error):
        return input_error(path, "a TorchScript program", "a state dict", "save the state_dict() of the loaded program")
    if blocked := re.search(r"GLOBAL (\S+) whose module", str(error)):
        return _dangerous(path, blocked[1])
    if "persistent" in str(error):
        return input_error(path, "a whole model of an old PyTorch", "a state dict", _DO_SAVE)
    if operand := re.search(r"Unsupported operand (\d+)", str(error)):
        return input_error(path, f"a file of another pickle protocol (operand {operand[1]})", "protocol 2, PyTorch's "
                           "own", "save it again by torch.save without pickle_protocol")
    if zipped and isinstance(error, pickle.UnpicklingError):
        reason = str(error).rpartition("WeightsUnpickler error: ")[2].strip().partition("\n")[0][:LONGEST_REASON]
        return input_error(path, f"objects that cannot be let through ({reason})", "tensors and plain values", _DO_SAVE)
    return _damaged(path, f"{type(error).__name__}: {reason}", remedy)


def _damaged(path: Path, reason: object, remedy: str) -> InputError:
    return input_error(path, f"an unreadable file ({str(reason)[:LONGEST_REASON]})", "a whole torch file", remedy)


def _dangerous(path: Path, name: str) -> InputError:
    """The error for a file that wants to call something which no weights need."""
    return input_error(path, f"a call of {name}, which no weights need", "tensors and plain values",
                       "do not trust this file; nothing of it has run")
