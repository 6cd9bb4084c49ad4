"""The counts behind every IoU: what is counted, for true and for chance pairings.

Pairing 0 joins each image with its own label maps. Pairing r > 0 lays the masks of an image over the label maps of
another image of its group. ``CpuCounter`` counts with packed bits, ``TorchCounter`` with matrix products on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class LabelGroup:
    """Labels of n images whose label maps have one size.

    planes: (P, H, W) uint16 label numbers, 0 = none; an image may have any number of planes.
    image_of_plane: (P,) int64 in [0, n), in ascending order.
    scalars: n tuples of labels that hold for the whole image.
    """

    planes: np.ndarray
    image_of_plane: np.ndarray
    scalars: Sequence[tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.scalars)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the label maps, pixels."""
        return self.planes.shape[1], self.planes.shape[2]

    def whole_image_labels(self) -> tuple[np.ndarray, np.ndarray]:
        """(image, label) of every label of a whole image, each (Q,) int64."""
        labels = np.array([label for labels in self.scalars for label in labels], np.int64)
        return np.repeat(np.arange(len(self)), [len(labels) for labels in self.scalars]), labels


@dataclass
class FiringMaps:
    """P feature maps that somewhere exceed their unit's threshold, ordered by image.

    image: (P,) int64 place in the group. unit: (P,) int64, 0-based. maps: (P, h, w) float32.
    """

    image: Tensor
    unit: Tensor
    maps: Tensor


@dataclass
class Counts:
    """Tables of K units, S = 1 + R pairings, L labels and C categories, all int64.

    both: (K, S, L) pixels of the label inside the mask, the intersection. activation: (K, S, C) mask pixels of the
    images in which a label of that primary category touches the mask. pixels: (K,) mask pixels of all images.
    """

    both: np.ndarray
    activation: np.ndarray
    pixels: np.ndarray

    @classmethod
    def empty(cls, units: int, pairings: int, labels: int, categories: int) -> Counts:
        """Tables of zeros."""
        return cls(np.zeros((units, pairings, labels), np.int64), np.zeros((units, pairings, categories), np.int64),
                   np.zeros(units, np.int64))


class GroupLabels(Protocol):
    """The labels of a group in the form that a counter takes: made once, used for every layer."""

    def truth(self) -> np.ndarray:
        """(L,) int64: pixels that carry each label, over all planes."""
        ...


class PixelCounter(Protocol):
    """What the CPU's and the GPU's counter have in common."""

    def add(self, labels: Any, firing: FiringMaps) -> None:
        """Count one group. labels: its GroupLabels of the counter's own kind. firing: maps of the same images."""
        ...

    def counts(self) -> Counts:
        """The tables so far."""
        ...


def partner_steps(group_size: int, pairings: int) -> np.ndarray:
    """(S,) int64: in pairing s, image i of a group of n meets the labels of image (i + step[s]) % n.

    0 comes first (each image with its own labels), then 1 to n - 1. A group of fewer images than pairings starts over
    at 1; an image alone is its own partner.
    """
    steps = np.arange(pairings)
    steps[1:] = (steps[1:] - 1) % max(group_size - 1, 1) + 1
    return steps
