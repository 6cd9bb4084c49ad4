"""The search in torch, for a GPU (and for the tests on a CPU).

Inner products of signs by matrix multiplication in half precision, exact because they are small whole numbers. Then
the nearest items in two steps: the ``top`` nearest items lie in the ``top`` groups of 64 neighbouring items whose
nearest items are nearest, so only these groups are ranked item by item. A key holds distance and place, so that ties
come in database order. With weights, a matrix multiplication in single precision gives more candidates than are
needed, and these are weighed exactly; a query for which they might not be enough is done on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ibc.retrieval.engine.device import Device
from ibc.retrieval.engine.plane_kernels import TILE_ITEMS
from ibc.retrieval.engine.plane_search import Nearest, search_planes
from ibc.retrieval.engine.planes import BitPlanes
from ibc.retrieval.engine.queries import SearchQueries

GROUP = 64  # neighbouring items; a tile is a multiple
PART_ITEMS = 4_194_304  # items whose inner products are computed together
BLOCK_PAIRS = 1_000_000_000  # query-item pairs at a time: 2 bytes each, and 4 bytes each with weights
HALF_EXACT_BITS = 2048  # half precision holds the whole numbers up to this
SPARE = 64  # candidates more than twice ``top`` with weights
LARGEST_INT32 = 2**31 - 1


class DeviceDatabase:
    """The codes of some stores as signs on a torch device, K x D in parts."""

    def __init__(self, stores: Sequence[BitPlanes], device: Device, part_items: int = PART_ITEMS) -> None:
        """Copy and unpack all codes: 2 bytes a bit on a GPU, 4 on the CPU."""
        self.device = torch.device(device)
        self.length = stores[0].length
        self.kind = torch.float16 if self.device.type == "cuda" and self.length <= HALF_EXACT_BITS else torch.float32
        self.half_steps = any(store.undecided for store in stores)
        self.parts: list[tuple[int, int, Tensor]] = []  # first row, items, signs (K, items and padding)
        self.count = 0
        for store in stores:
            step = part_items // TILE_ITEMS
            for start in range(0, len(store.used_tiles), step):
                tiles = np.ascontiguousarray(store.used_tiles[start : start + step])
                items = min(store.count - start * TILE_ITEMS, len(tiles) * TILE_ITEMS)
                self.parts.append((self.count, items, self._unpack(tiles, store.undecided)))
                self.count += items

    def _unpack(self, tiles: np.ndarray, undecided: bool) -> Tensor:
        packed = torch.from_numpy(tiles.astype("<u8", copy=False).view(np.uint8)).to(self.device)
        places = torch.arange(8, dtype=torch.uint8, device=self.device)
        signs = torch.empty(self.length, len(tiles) * TILE_ITEMS, dtype=self.kind, device=self.device)
        for bit in range(self.length):  # one plane of all tiles at a time: no large copy in between
            row = (packed[:, bit, :, None] >> places & 1).reshape(-1).to(self.kind) * 2 - 1
            if undecided:
                row += (packed[:, self.length + bit, :, None] >> places & 1).reshape(-1).to(self.kind)
            signs[bit] = row
        return signs


def search_torch(database: DeviceDatabase, stores: Sequence[BitPlanes], queries: SearchQueries, top: int,
                 block_pairs: int = BLOCK_PAIRS) -> list[Nearest]:
    """What ``plane_search.search_planes`` gives, for the same stores. ``top`` is at most D."""
    largest = max((signs.shape[1] for _, _, signs in database.parts), default=1)
    size = max(1, block_pairs // largest)
    nearest: list[Nearest] = []
    for start in range(0, len(queries), size):
        block = queries.rows(slice(start, start + size))
        if block.weights is None:
            rows, values = _block(database, block, top)
            nearest += list(zip(rows.cpu().numpy(), values.cpu().numpy(), strict=True))
        else:
            nearest += _weighted_block(database, stores, block, top)
    return nearest


def _block(database: DeviceDatabase, queries: SearchQueries, top: int) -> tuple[Tensor, Tensor]:
    """Rows and distances, (Q, top) each, of queries without weights."""
    signs = torch.from_numpy(queries.signs).to(database.device).to(database.kind)
    inner, rows = [], []
    for first, items, part in database.parts:
        own, places = _largest(_inner(signs, part, items), min(top, items))
        inner.append(own)
        rows.append(places + first)
    if len(inner) > 1:  # each in the order of its rows where equal, and the parts in the order of their rows
        found, order = torch.sort(torch.cat(inner, dim=1), dim=1, descending=True, stable=True)
        inner, rows = [found[:, :top]], [torch.cat(rows, dim=1).gather(1, order[:, :top])]
    used = torch.from_numpy(queries.bits_used).to(database.device)[:, None]
    distance = used - inner[0].long()
    return rows[0], distance if database.half_steps else distance >> 1


def _inner(queries: Tensor, part: Tensor, items: int) -> Tensor:
    """(Q, items and padding) inner products; the padding is behind everything."""
    inner = queries @ part
    inner[:, items:] = -torch.inf
    return inner


def _largest(inner: Tensor, top: int) -> tuple[Tensor, Tensor]:
    """The ``top`` largest whole numbers of each row of (Q, D), largest first, and their places; the first of equals."""
    groups = inner.shape[1] // GROUP
    if top >= groups:
        return _largest_dense(inner, top)
    by_group = inner.view(len(inner), groups, GROUP)
    _, chosen = _largest_dense(by_group.amax(dim=2), top)
    chosen = chosen.sort(dim=1).values  # in the order of the database
    candidates = by_group.gather(1, chosen[:, :, None].expand(-1, -1, GROUP)).view(len(inner), -1)
    values, places = _largest_dense(candidates, top)
    return values, chosen.gather(1, places // GROUP) * GROUP + places % GROUP


def _largest_dense(values: Tensor, top: int) -> tuple[Tensor, Tensor]:
    count = values.shape[1]
    bound = HALF_EXACT_BITS if values.dtype == torch.float16 else 2**24
    kind = torch.int32 if (bound + 1) * count < LARGEST_INT32 else torch.int64
    whole = values.clamp(min=-bound).to(kind)  # padding is -inf; nothing else is as small
    keys = whole.mul_(count).sub_(torch.arange(count, dtype=kind, device=values.device))
    keys = torch.topk(keys, top, dim=1).values
    whole = torch.div(keys + (count - 1), count, rounding_mode="floor")
    return whole, (whole * count - keys).long()


def _weighted_block(database: DeviceDatabase, stores: Sequence[BitPlanes], queries: SearchQueries,
                    top: int) -> list[Nearest]:
    device = database.device
    assert queries.weights is not None
    weights = torch.from_numpy(queries.weights).to(device)
    signs = torch.from_numpy(queries.signs).to(device)
    factors = (weights * signs).float()
    total = weights.sum(dim=1)
    error = total * (2.0**-22 * database.length if torch.get_float32_matmul_precision() == "highest" else 2.0**-8)
    wanted = min(2 * top + SPARE, database.count)
    rows, distances = [], []
    last = torch.full((len(queries),), torch.inf, dtype=torch.float64, device=device)
    for first, items, part in database.parts:
        inner = _inner(factors, part.float(), items)
        count = min(wanted, items)
        groups = inner.view(len(inner), -1, GROUP)
        if count < groups.shape[1]:
            chosen = torch.topk(groups.amax(dim=2), count, dim=1).indices
            inner = groups.gather(1, chosen[:, :, None].expand(-1, -1, GROUP)).view(len(inner), -1)
        near = torch.topk(inner, count, dim=1)
        places = near.indices
        if count < groups.shape[1]:
            places = chosen.gather(1, places // GROUP) * GROUP + places % GROUP
        places = places.sort(dim=1).values
        if count < items:  # others of this part are at least this far, by the sums in single precision
            last = torch.minimum(last, (total - near.values[:, -1].double()) / 2)
        distance = torch.zeros(places.shape, dtype=torch.float64, device=device)
        for bit in range(database.length):  # in the order of the bits, as everywhere
            bits = part[bit][places] * signs[:, bit : bit + 1]
            distance += weights[:, bit : bit + 1] * ((1 - bits.double()) / 2)
        rows.append(places + first)
        distances.append(distance)
    found, order = torch.sort(torch.cat(distances, dim=1), dim=1, stable=True)
    found, row = found[:, :top], torch.cat(rows, dim=1).gather(1, order[:, :top])
    sure = (found[:, -1] < last - error).tolist()
    nearest = list(zip(row.cpu().numpy(), found.cpu().numpy(), strict=True))
    for number in np.flatnonzero(np.logical_not(sure)):
        nearest[number] = search_planes(stores, queries.rows(slice(number, number + 1)), top)[0]
    return nearest
