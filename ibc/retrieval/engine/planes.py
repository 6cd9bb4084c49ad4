"""Codes as bit planes: the layout that the search reads, in memory or mapped from a file.

Signs flow in; ``BitPlanes`` hold them in tiles of 512 items: for each bit of the code one plane of 512 bits, which says
where the sign is +1; where some sign is 0 as many planes more, which say where; and a plane of zeros. So a search
reads only the planes of the chosen bits, a tile stays in the first cache while all queries pass over it, and codes are
added at the end.
"""

from __future__ import annotations

import ctypes

import numpy as np

from ibc.retrieval.engine.plane_kernels import LANES, TILE_ITEMS, transpose_bits

ALIGNMENT = 64  # bytes of a vector: one that lies across two cache lines is read at half the speed
PACKED_ROWS = 128 * TILE_ITEMS  # rows that are packed at a time


class BitPlanes:
    """Codes of D items of K bits in tiles.

    tiles: (T, P, 8) uint64, T at least ceil(D / 512), P = K + 1, or 2 K + 1 where some sign is 0 (``undecided``).
    """

    def __init__(self, length: int, undecided: bool = False) -> None:
        """No items yet, of ``length`` bits."""
        self.length, self.undecided, self.count = length, undecided, 0
        self.tiles = _empty_tiles(0, (length << undecided) + 1)

    @classmethod
    def of_tiles(cls, tiles: np.ndarray, count: int, length: int, undecided: bool) -> BitPlanes:
        """Planes that lie in ``tiles`` already, such as a memory map."""
        planes = cls(length, undecided)
        planes.tiles, planes.count = tiles, count
        return planes

    @property
    def used_tiles(self) -> np.ndarray:
        """The tiles that hold items."""
        return self.tiles[: -(-self.count // TILE_ITEMS)]

    def append(self, signs: np.ndarray) -> None:
        """Add (N, K) signs -1, 0, +1 as the last items."""
        if not self.undecided and not signs.all():
            self._make_room_for_undecided()
        if self.count + len(signs) > len(self.tiles) * TILE_ITEMS:
            self.reserve(max(self.count + len(signs), self.count * 3 // 2))
        for start in range(0, len(signs), PACKED_ROWS):
            self._write(signs[start : start + PACKED_ROWS])

    def reserve(self, items: int) -> None:
        """Make room for ``items`` items in all, so that adding them copies nothing."""
        needed = -(-items // TILE_ITEMS)
        if needed > len(self.tiles):
            larger = _empty_tiles(needed, self.tiles.shape[1])
            larger[: len(self.tiles)] = self.tiles
            self.tiles = larger

    def signs(self, start: int, stop: int) -> np.ndarray:
        """(stop - start, K) int8, the codes of these items."""
        if start == stop:
            return np.empty((0, self.length), np.int8)
        first = start // TILE_ITEMS
        tiles = self.tiles[first : -(-stop // TILE_ITEMS)].astype("<u8", copy=False)
        flags = np.unpackbits(tiles.view(np.uint8), axis=2, bitorder="little").astype(np.int8)  # (T, P, 512)
        signs = 2 * flags[:, : self.length] - 1
        if self.undecided:
            signs += flags[:, self.length : 2 * self.length]  # -1 becomes 0
        rows = signs.transpose(0, 2, 1).reshape(-1, self.length)
        return np.ascontiguousarray(rows[start - first * TILE_ITEMS : stop - first * TILE_ITEMS])

    def _write(self, signs: np.ndarray) -> None:
        """Pack signs behind the last item. Of a group of eight begun before, the items are packed anew."""
        begun = self.count % 8
        if begun:
            signs = np.concatenate([self.signs(self.count - begun, self.count), signs])
        start = self.count - begun
        rows = np.pad(signs, ((0, -len(signs) % 8), (0, 0)))
        planes = self.tiles.view(np.uint8).reshape(len(self.tiles), -1, TILE_ITEMS // 8)
        flags = [rows > 0, rows == 0] if self.undecided else [rows > 0]
        for half, part in enumerate(flags):
            part[len(signs) :] = False
            transpose_bits(np.packbits(part, axis=1, bitorder="little"), start,
                           planes[:, half * self.length : (half + 1) * self.length])
        self.count = start + len(signs)

    def _make_room_for_undecided(self) -> None:
        wider = _empty_tiles(len(self.tiles), 2 * self.length + 1)
        wider[:, : self.length] = self.tiles[:, : self.length]
        self.tiles, self.undecided = wider, True


def _empty_tiles(count: int, planes: int) -> np.ndarray:
    """(count, planes, 8) uint64 zeros that begin at a multiple of ALIGNMENT bytes."""
    size = count * planes * LANES * 8
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size].view(np.uint64).reshape(count, planes, LANES)


def as_writable(tiles: np.ndarray) -> np.ndarray:
    """The same memory without the mark that it may not be written: else the kernels are compiled once more for it."""
    if tiles.flags.writeable or not tiles.size:
        return tiles
    memory = (ctypes.c_uint64 * tiles.size).from_address(tiles.ctypes.data)
    return np.ctypeslib.as_array(memory).reshape(tiles.shape)
