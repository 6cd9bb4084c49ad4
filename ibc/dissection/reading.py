"""Which images are visited when, and their pixels and label maps, read ahead by worker processes.

Images are visited in an order drawn from the seed, in the same batches by both passes: a batch that
is encoded a second time gives the same numbers to the last bit. Whole batches form the groups in
which chance pairings are made; as the order is random, a partner in the group is a random image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ibc.data.broden.dataset import Broden
from ibc.dissection.counting.counts import LabelGroup
from ibc.errors import InputError, input_error

if TYPE_CHECKING:
    from torch import Tensor

PREFETCH = 2  # batches read ahead by each worker
FEWEST_FOR_WORKERS = 8  # batches; for fewer, starting processes takes longer than they save
FEWEST_IN_GROUP = 64  # images; more would only make the chance pairings costlier on a GPU


@dataclass
class Plan:
    """order: (N,) image indices as visited. batches: [begin, end) places in the order. groups: ranges of batches."""

    order: np.ndarray
    batches: list[range]
    groups: list[range]

    def images(self, batch: int) -> np.ndarray:
        """Image indices of a batch."""
        return self.order[self.batches[batch].start : self.batches[batch].stop]

    def places(self, group: int) -> range:
        """Places in the order that a group covers."""
        batches = self.groups[group]
        return range(self.batches[batches.start].start, self.batches[batches.stop - 1].stop)


def make_plan(broden: Broden, batch_size: int, pairings: int, seed: int) -> Plan:
    """Batches of at most ``batch_size`` images with label maps of one size, nearly equal in size.

    A group has at least ``pairings`` images where there are so many.
    """
    order = np.random.default_rng(seed).permutation(len(broden))
    map_sizes = np.array([broden.records[index].map_size for index in order])
    _, kind = np.unique(map_sizes, axis=0, return_inverse=True)
    by_size = np.argsort(kind.reshape(-1), kind="stable")
    order, kind = order[by_size], kind.reshape(-1)[by_size]
    batches: list[range] = []
    groups: list[range] = []
    for value in range(int(kind[-1]) + 1):
        begin, end = np.searchsorted(kind, [value, value + 1])
        edges = np.linspace(begin, end, -(-int(end - begin) // batch_size) + 1).astype(int)
        first = len(batches)
        batches += [range(a, b) for a, b in pairwise(edges)]
        smallest = min(len(batch) for batch in batches[first:])
        step = -(-max(pairings, FEWEST_IN_GROUP) // smallest)
        count = max(1, (len(batches) - first) // step)
        cuts = np.linspace(first, len(batches), count + 1).astype(int)
        groups += [range(a, b) for a, b in pairwise(cuts)]
    return Plan(order, batches, groups)


@dataclass
class Reader:
    """What a worker reads: uint8 images of one size, and label maps.

    size: (height, width) of the images; those stored in another size are resized (bilinear).
    image_workers, label_workers: processes, 0: the calling one. decoder: of ``Broden.read_image``.
    """

    broden: Broden
    plan: Plan
    size: tuple[int, int]
    image_workers: int
    label_workers: int
    decoder: str = "pillow"

    def image_batches(self, batches: Sequence[int]) -> Iterator[Tensor]:
        """(B, 3, H, W) uint8 of each of ``batches``."""
        return _stream(_ImageJobs(self), batches, self.image_workers)

    def label_groups(self, groups: Sequence[int]) -> Iterator[LabelGroup]:
        return _stream(_LabelJobs(self), groups, self.label_workers)


class _ImageJobs:
    def __init__(self, reader: Reader):
        self.reader = reader

    def __getitems__(self, keys: list[int]) -> Tensor | str:
        import torch

        try:
            indices = self.reader.plan.images(keys[0])
            images = torch.empty(len(indices), 3, *self.reader.size, dtype=torch.uint8)
            for place, index in enumerate(indices):
                images[place] = self._image(index)
            return images
        except InputError as error:
            return str(error)

    def _image(self, index: int) -> Tensor:
        import torch.nn.functional as F

        image = self.reader.broden.read_image(index, self.reader.decoder)
        if tuple(image.shape[-2:]) != self.reader.size:
            image = F.interpolate(image[None], self.reader.size, mode="bilinear", antialias=True)[0]
        return image


class _LabelJobs:
    def __init__(self, reader: Reader):
        self.reader = reader

    def __getitems__(self, keys: list[int]) -> tuple[Tensor, Tensor, list[tuple[int, ...]]] | str:
        import torch

        plan, broden = self.reader.plan, self.reader.broden
        places = plan.places(keys[0])
        images = plan.order[places.start : places.stop]
        try:
            planes = [broden.read_planes(index) for index in images]
        except InputError as error:
            return str(error)
        owner = np.repeat(np.arange(len(images)), [len(part) for part in planes])
        scalars = [broden.records[index].scalars for index in images]
        return torch.from_numpy(np.concatenate(planes).view(np.int16)), torch.from_numpy(owner), scalars


def _stream(jobs: _ImageJobs | _LabelJobs, keys: Sequence[int], workers: int) -> Iterator:
    from ibc.data.loader_workers import by_workers

    if len(keys) < FEWEST_FOR_WORKERS:
        workers = 0
    for item in by_workers(jobs, [[key] for key in keys], workers, ahead=PREFETCH):  # type: ignore[arg-type]
        if isinstance(item, str):
            raise InputError(item)
        if isinstance(item, tuple | list):
            planes, owner, scalars = item
            yield LabelGroup(planes.numpy().view(np.uint16), owner.numpy(), [tuple(labels) for labels in scalars])
        else:
            yield item


def input_size(broden: Broden, wanted: tuple[int, int] | None) -> tuple[int, int]:
    """The size to encode at: ``wanted``, or the one size that all images are stored in."""
    stored = broden.image_sizes
    if wanted is None and len(stored) > 1:
        raise input_error(broden.folder / broden.index_file, f"images of {len(stored)} sizes", "one size",
                          "choose it by --image_size")
    return wanted or stored[0]
