"""Images and label maps of the batches and groups of a plan, read ahead by worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ibc.data.broden.dataset import Broden
from ibc.data.loader_workers import by_workers
from ibc.dissection.counting.counts import LabelGroup
from ibc.dissection.visit_plan import VisitPlan
from ibc.errors import InputError, input_error

PREFETCH = 2  # batches read ahead by each worker
FEWEST_FOR_WORKERS = 8  # batches; for fewer, starting processes takes longer than they save


@dataclass
class BrodenReader:
    """Reads what a plan names: uint8 images of one size, and label maps.

    size: (height, width) of the images; those stored in another size are resized (bilinear).
    image_workers, label_workers: processes, 0: the calling one. decoder: of ``Broden.read_image``.
    """

    broden: Broden
    plan: VisitPlan
    size: tuple[int, int]
    image_workers: int
    label_workers: int
    decoder: str = "pillow"

    def image_batches(self, batches: Sequence[int]) -> Iterator[Tensor]:
        """(B, 3, H, W) uint8 of each of ``batches``. Raises InputError at an unreadable image."""
        return _read_ahead(_ImageJobs(self), batches, self.image_workers)

    def label_groups(self, groups: Sequence[int]) -> Iterator[LabelGroup]:
        """The labels of each of ``groups``. Raises InputError at an unreadable label map."""
        for planes, owner, scalars in _read_ahead(_LabelJobs(self), groups, self.label_workers):
            yield LabelGroup(planes.numpy().view(np.uint16), owner.numpy(), [tuple(labels) for labels in scalars])


class _ImageJobs:
    """A batch's number -> its images, or the InputError of one, in a worker process.

    A worker returns errors: one that it raised would arrive here with a traceback in its text.
    """

    def __init__(self, reader: BrodenReader):
        self.reader = reader

    def __getitems__(self, keys: list[int]) -> Tensor | InputError:
        try:
            indices = self.reader.plan.images(keys[0])
            images = torch.empty(len(indices), 3, *self.reader.size, dtype=torch.uint8)
            for place, index in enumerate(indices):
                images[place] = self._image(index)
            return images
        except InputError as error:
            return error

    def _image(self, index: int) -> Tensor:
        image = self.reader.broden.read_image(index, self.reader.decoder)
        if tuple(image.shape[-2:]) != self.reader.size:
            image = F.interpolate(image[None], self.reader.size, mode="bilinear", antialias=True)[0]
        return image


class _LabelJobs:
    """A group's number -> its label planes, the image of each plane and the labels of whole images, in a worker."""

    def __init__(self, reader: BrodenReader):
        self.reader = reader

    def __getitems__(self, keys: list[int]) -> tuple[Tensor, Tensor, list[tuple[int, ...]]] | InputError:
        plan, broden = self.reader.plan, self.reader.broden
        places = plan.places(keys[0])
        images = plan.order[places.start : places.stop]
        try:
            planes = [broden.read_planes(index) for index in images]
        except InputError as error:
            return error
        owner = np.repeat(np.arange(len(images)), [len(part) for part in planes])
        scalars = [broden.records[index].scalars for index in images]
        return torch.from_numpy(np.concatenate(planes).view(np.int16)), torch.from_numpy(owner), scalars


def _read_ahead(jobs: _ImageJobs | _LabelJobs, keys: Sequence[int], workers: int) -> Iterator[Any]:
    """What ``jobs`` makes of each key, in order."""
    if len(keys) < FEWEST_FOR_WORKERS:
        workers = 0
    for item in by_workers(jobs, [[key] for key in keys], workers, ahead=PREFETCH):
        if isinstance(item, InputError):
            raise item
        yield item


def input_size(broden: Broden, wanted: tuple[int, int] | None) -> tuple[int, int]:
    """(height, width) to encode at: ``wanted``, or the one size that all images are stored in.

    Raises InputError where there are several and none is wanted.
    """
    stored = broden.image_sizes
    if wanted is None and len(stored) > 1:
        raise input_error(broden.folder / broden.index_file, f"images of {len(stored)} sizes", "one size",
                          "choose it by --image_size")
    return wanted or stored[0]
