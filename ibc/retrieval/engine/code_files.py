"""Files of codes that are searched: codes files read block by block, and index files that are mapped into memory.

A path flows in; blocks of signs, or ``BitPlanes`` over a memory map, flow out. An index file holds the tiles of
``BitPlanes`` behind a header of 4,096 bytes: a line that names the format, then JSON with ``version``, ``items``,
``bits`` and ``undecided``. Its words are little-endian.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ibc.array_files import READ_ENDINGS, map_array, read_arrays
from ibc.arrays import npz
from ibc.code_kinds import KINDS
from ibc.code_reading import CodeReading, recognise
from ibc.codes import binarise, load_codes
from ibc.errors import input_error
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
    ending = path.suffix.lower()
    if ending not in (".npy", *READ_ENDINGS):
        return _map_index(path)
    whole = ending not in (".npz", ".npy")
    codes = load_codes(path, kind=kind).binary_codes if whole else _map_codes(path)
    if whole or kind is None:
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
        if any(type(number) is not int for number in (version, items, length)) or type(undecided) is not bool:
            raise TypeError("numbers of another kind")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise input_error(path, "an index file with a damaged header", "a whole one", "write it again") from None
    if version != VERSION:
        raise input_error(path, f"an index file of version {version}", f"{VERSION}", "write it again")
    if items < 0 or length < 1:
        raise input_error(path, f"an index of {items} codes of {length} bits", "a whole one", "write it again")
    shape = (-(-items // TILE_ITEMS), (length << undecided) + 1, LANES)
    expected = HEADER_BYTES + 8 * math.prod(shape)
    if os.path.getsize(path) != expected:
        raise input_error(path, f"{os.path.getsize(path)} bytes", f"{expected} for {items} codes of {length} bits",
                          "write it again")
    tiles = np.memmap(path, "<u8", "r", HEADER_BYTES, shape) if items else np.empty(shape, "<u8")
    return BitPlanes.of_tiles(tiles.astype(np.uint64, copy=False), items, length, bool(undecided))


def _map_codes(path: Path) -> np.ndarray:
    """(N, K) codes of an .npz or .npy file, mapped where they are stored as they are (without compression)."""
    if path.suffix.lower() == ".npy":
        try:
            codes = np.load(path, mmap_mode="r", allow_pickle=False)
        except npz.FAILURES as error:
            if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
                raise
            raise npz.damaged(path, f"{type(error).__name__}: {error}") from None
    else:
        mapped = map_array(path, "binary_codes")
        found = read_arrays(path, ("binary_codes",)) if mapped is None else {"binary_codes": mapped}
        if "binary_codes" not in found:
            raise input_error(path, "no array 'binary_codes'", "a codes file", "write it with fea_extraction.py")
        codes = found["binary_codes"]
    if codes.ndim != 2 or not codes.shape[1] or codes.dtype.kind not in "buif":
        raise input_error(path, f"codes of shape {codes.shape} and type {codes.dtype}",
                          "a matrix of numbers, one row an image")
    return codes


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
