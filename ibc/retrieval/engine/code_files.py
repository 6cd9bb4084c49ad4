"""Files of codes that are searched: codes files read block by block, and index files that are mapped into memory.

A path flows in; blocks of signs, or ``BitPlanes`` over a memory map, flow out. An index file holds the tiles of
``BitPlanes`` behind a header of 4,096 bytes: a line that names the format, then JSON with ``version``, ``items``,
``bits`` and ``undecided``. Its words are little-endian.
"""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ibc.code_kinds import KINDS
from ibc.code_reading import CodeReading, recognise
from ibc.codes import binarise, load_codes
from ibc.errors import InputError, input_error
from ibc.files import atomic_write
from ibc.retrieval.engine.plane_kernels import LANES, TILE_ITEMS
from ibc.retrieval.engine.planes import BitPlanes

MAGIC = b"IBC bit planes\n"
HEADER_BYTES = 4096  # a page, so that tiles lie at whole pages
VERSION = 1
BLOCK_ITEMS = 32 * TILE_ITEMS  # rows that are read at a time


def open_planes(path: str | os.PathLike, kind: str | None = None) -> BitPlanes:
    """The codes of a file: mapped from an index file; packed block by block from ``.npz``, ``.npy`` or ``.mat``.

    kind: what the numbers are, one of ``ibc.code_kinds.KINDS``; None: sigmoid values, or whole numbers that are bits or
    signs. Raises InputError for a file that holds no codes, or codes of another kind; FileNotFoundError for one that is
    not there.
    """
    path = Path(path)
    if path.suffix not in (".npz", ".npy", ".mat"):
        return _map_index(path)
    codes = load_codes(path, kind=kind).binary_codes if path.suffix == ".mat" else _map_codes(path)
    if path.suffix == ".mat" or kind is None:
        planes = _planes_of(codes, CodeReading("sigmoid"), strict=True)
        if planes is not None:
            return planes
    reading = recognise(codes, path, kind=kind)
    if kind is None and codes.dtype.kind == "f" and reading.kind != "sigmoid":
        row = int(np.flatnonzero(((codes < 0) | (codes > 1)).any(axis=1))[0])
        raise input_error(path, f"a code that is not from 0 to 1 in row {row + 1}", "sigmoid values in [0, 1]",
                          f"they look like {KINDS[reading.kind]}: if they are, give kind='{reading.kind}'")
    planes = _planes_of(codes, reading)
    assert planes is not None
    return planes


def write_index_file(path: str | os.PathLike, blocks: Iterable[np.ndarray], undecided: bool) -> int:
    """Write signs (n, K), block after block, as an index file; returns how many items there were.

    The file is written aside and renamed. ``undecided`` makes room for signs that are 0; without it they are an
    InputError.
    """
    waiting: BitPlanes | None = None
    items = 0
    with atomic_write(path) as handle:
        handle.write(bytes(HEADER_BYTES))
        for block in blocks:
            if waiting is None:
                waiting = BitPlanes(block.shape[1], undecided)
            if block.shape[1] != waiting.length:
                raise input_error(None, f"codes of {block.shape[1]} bits", f"{waiting.length}, as before them")
            waiting.append(block)
            if waiting.undecided != undecided:
                raise input_error(None, "an undecided bit (sign 0)", "signs -1 and +1",
                                  "give undecided=True where the index is written")
            items += len(block)
            whole = waiting.count // TILE_ITEMS
            handle.write(_little(waiting.tiles[:whole]))
            rest = waiting.signs(whole * TILE_ITEMS, waiting.count)
            waiting = BitPlanes(waiting.length, undecided)
            waiting.append(rest)
        if waiting is None:
            raise input_error(None, "no codes", "at least one block of codes")
        handle.write(_little(waiting.used_tiles))
        header = {"version": VERSION, "items": items, "bits": waiting.length, "undecided": undecided}
        handle.seek(0)
        handle.write(MAGIC + json.dumps(header).encode() + b"\n")
    return items


def _little(tiles: np.ndarray) -> memoryview:
    return np.ascontiguousarray(tiles).astype("<u8", copy=False).data


def _map_index(path: Path) -> BitPlanes:
    with open(path, "rb") as handle:
        head = handle.read(HEADER_BYTES)
    if not head.startswith(MAGIC):
        raise input_error(path, "a file that is no index of codes", "an index file, or codes as .npz, .npy or .mat")
    try:
        header = json.loads(head[len(MAGIC) :].split(b"\n")[0])
        version, items, length, undecided = (header[key] for key in ("version", "items", "bits", "undecided"))
    except (ValueError, KeyError, TypeError):
        raise input_error(path, "an index file with a damaged header", "a whole one", "write it again") from None
    if version != VERSION:
        raise input_error(path, f"an index file of version {version}", f"{VERSION}", "write it again")
    shape = (-(-items // TILE_ITEMS), (length << undecided) + 1, LANES)
    expected = HEADER_BYTES + 8 * int(np.prod(shape))
    if os.path.getsize(path) != expected:
        raise input_error(path, f"{os.path.getsize(path)} bytes", f"{expected} for {items} codes of {length} bits",
                          "write it again")
    tiles = np.memmap(path, "<u8", "r", HEADER_BYTES, shape) if items else np.empty(shape, "<u8")
    return BitPlanes.of_tiles(tiles.astype(np.uint64, copy=False), items, length, bool(undecided))


def _map_codes(path: Path) -> np.ndarray:
    """(N, K) codes of an .npz or .npy file, mapped where they are stored as they are (without compression)."""
    try:
        codes = np.load(path, mmap_mode="r", allow_pickle=False) if path.suffix == ".npy" else _map_member(path)
    except (InputError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except Exception as error:  # a damaged file makes the readers fail in many ways
        raise input_error(path, f"an unreadable file ({type(error).__name__}: {error})",
                          f"a whole {path.suffix} file", "write it again") from None
    if codes.ndim != 2 or not codes.shape[1] or codes.dtype.kind not in "buif":
        raise input_error(path, f"codes of shape {codes.shape} and type {codes.dtype}",
                          "a matrix of numbers, one row an image")
    return codes


def _map_member(path: Path, name: str = "binary_codes") -> np.ndarray:
    with zipfile.ZipFile(path) as archive:
        if f"{name}.npy" not in archive.namelist():
            raise input_error(path, f"no array '{name}'", "a codes file", "write it with fea_extraction.py")
        member = archive.getinfo(f"{name}.npy")
        if member.compress_type != zipfile.ZIP_STORED:
            with archive.open(member) as handle:
                return np.lib.format.read_array(handle, allow_pickle=False)
    with open(path, "rb") as handle:
        handle.seek(member.header_offset)
        head = handle.read(30)  # of the local file header; the lengths of its name and extra field end it
        handle.seek(member.header_offset + 30 + sum(struct.unpack("<HH", head[26:30])))
        version = np.lib.format.read_magic(handle)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, kind = read(handle)
        if kind.hasobject or not all(shape):
            return np.empty(shape, kind)
        return np.memmap(path, kind, "r", handle.tell(), shape, "F" if fortran_order else "C")


def _planes_of(codes: np.ndarray, reading: CodeReading, strict: bool = False) -> BitPlanes | None:
    """Codes packed block by block; None where ``strict`` and a number is not in [0, 1], as soon as it is met."""
    planes = None
    for start in range(0, max(len(codes), 1), BLOCK_ITEMS):
        block = np.asarray(codes[start : start + BLOCK_ITEMS])
        if strict and block.size and not (block.min() >= 0 and block.max() <= 1):
            return None
        signs = binarise(reading.convert(block))
        if planes is None:
            planes = BitPlanes(signs.shape[1])
            planes.reserve(len(codes))
        planes.append(signs)
    return planes
