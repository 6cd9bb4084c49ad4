"""Counts behind every IoU: pixels of each label inside each unit's mask, for true and chance pairings.

Pairing 0 is an image with its own label maps; pairing r > 0 lays the masks of an image over the
label maps of the r-th next image of its group. ``CpuCounter`` works on packed bits;
``counting_cuda.TorchCounter`` does the same with matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ibc.dissection.counting.bilinear import strict_limit

if TYPE_CHECKING:
    from torch import Tensor

    from ibc.dissection.counting.bitmasks import Enlarger


@dataclass
class LabelGroup:
    """Labels of n images with maps of one size.

    planes: (P, H, W) uint16, 0 = none. image_of_plane: (P,) int64 in [0, n), non-decreasing.
    scalars: n tuples of labels of the whole image.
    """

    planes: np.ndarray
    image_of_plane: np.ndarray
    scalars: Sequence[tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.scalars)

    @property
    def size(self) -> tuple[int, int]:
        return self.planes.shape[1], self.planes.shape[2]

    def whole_image_labels(self) -> tuple[np.ndarray, np.ndarray]:
        """(image, label) of every label of a whole image, each (Q,) int64."""
        labels = np.array([label for labels in self.scalars for label in labels], np.int64)
        return np.repeat(np.arange(len(self)), [len(labels) for labels in self.scalars]), labels


@dataclass
class Pairs:
    """P feature maps that reach above their unit's threshold, ordered by image.

    image: (P,) int64 place in the group. unit: (P,) int64, 0-based. maps: (P, h, w) float32.
    """

    image: Tensor
    unit: Tensor
    maps: Tensor


@dataclass
class Counts:
    """Tables of K units, S = 1 + R pairings, L labels and C categories, all int64.

    both: (K, S, L) pixels of the label inside the mask. activation: (K, S, C) mask pixels in images
    where a label of that primary category lies inside the mask. pixels: (K,) mask pixels.
    """

    both: np.ndarray
    activation: np.ndarray
    pixels: np.ndarray

    @classmethod
    def empty(cls, units: int, pairings: int, labels: int, categories: int) -> Counts:
        return cls(np.zeros((units, pairings, labels), np.int64), np.zeros((units, pairings, categories), np.int64),
                   np.zeros(units, np.int64))


class Labels(Protocol):
    """A group's labels in the form that a counter takes; prepared once, met by the pairs of every layer."""

    def truth(self) -> np.ndarray:
        """(L,) int64: pixels that carry each label, over all planes."""
        ...


class Counter(Protocol):
    """What both counters do."""

    def add(self, labels: Any, pairs: Pairs) -> None: ...

    def counts(self) -> Counts: ...


def partner_steps(group_size: int, pairings: int) -> np.ndarray:
    """(S,) int64: image i is paired with image (i + step) % n; 0 first, then 1 to n - 1, then over again."""
    steps = np.arange(pairings)
    steps[1:] = (steps[1:] - 1) % max(group_size - 1, 1) + 1
    return steps


class CpuLabels:
    """A group's labels as bit masks."""

    def __init__(self, group: LabelGroup, label_count: int):
        from ibc.dissection.counting.bitmasks import label_masks

        self.size, self.images, self.label_count = group.size, len(group), label_count
        self.masks, label, plane = label_masks(group.planes, label_count)
        whole_image, whole_label = group.whole_image_labels()
        image = np.concatenate([group.image_of_plane[plane], whole_image])
        order = np.argsort(image, kind="stable")
        self.label = np.concatenate([label, whole_label])[order]
        self.row = np.concatenate([np.arange(len(label)), np.full(len(whole_label), -1)])[order]
        self.first = np.searchsorted(image[order], np.arange(len(group) + 1))

    def truth(self) -> np.ndarray:
        counts = np.zeros(self.label_count, np.int64)
        pixels = np.append(self.masks.pixels, self.size[0] * self.size[1])  # row -1, the last: the whole image
        np.add.at(counts, self.label, pixels[self.row])
        return counts


class CpuCounter:
    """Counts on the CPU, in one thread."""

    def __init__(self, thresholds: np.ndarray, primary: np.ndarray, start: Counts):
        """thresholds: (K,) float64. primary: (L,) category of each label. start: tables to add to."""
        self.limits = strict_limit(thresholds)
        self.primary = np.asarray(primary, np.int64)
        self._counts = start
        self._enlargers: dict[tuple[int, ...], Enlarger] = {}

    def add(self, labels: CpuLabels, pairs: Pairs) -> None:
        from ibc.dissection.counting.bitmasks import Enlarger, count_inside

        image, unit, maps = pairs.image.numpy(), pairs.unit.numpy(), pairs.maps.numpy()
        key = (*maps.shape[1:], *labels.size)
        if key not in self._enlargers:
            self._enlargers[key] = Enlarger(key[:2], labels.size)
        masks = self._enlargers[key](maps, self.limits[unit])
        np.add.at(self._counts.pixels, unit, masks.pixels)
        steps = partner_steps(labels.images, self._counts.both.shape[1])
        count_inside(masks, unit, np.searchsorted(image, np.arange(labels.images + 1)), labels.masks, labels.row,
                     labels.label, labels.first, self.primary, steps, self._counts.both, self._counts.activation)

    def counts(self) -> Counts:
        return self._counts
