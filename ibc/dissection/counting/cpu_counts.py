"""Counts on a CPU, with masks and label maps packed to bits (``bitmasks``)."""

from __future__ import annotations

import numpy as np

from ibc.dissection.counting.bilinear import strict_limit
from ibc.dissection.counting.bitmasks import Enlarger, count_inside, label_masks
from ibc.dissection.counting.counts import Counts, FiringMaps, LabelGroup, partner_steps


class CpuLabels:
    """The labels of a group as bit masks: a ``GroupLabels``.

    label, row: (M,) int64, the labels of image 0, then those of image 1, ...; ``row`` is the place of the label's mask
    in ``masks``, -1 for a label of the whole image. first: (n + 1,) where each image's labels begin.
    """

    def __init__(self, group: LabelGroup, label_count: int):
        """label_count: L, the highest label number + 1."""
        self.size, self.images, self.label_count = group.size, len(group), label_count
        self.masks, label, plane = label_masks(group.planes, label_count)
        whole_image, whole_label = group.whole_image_labels()
        image = np.concatenate([group.image_of_plane[plane], whole_image])
        order = np.argsort(image, kind="stable")
        self.label = np.concatenate([label, whole_label])[order]
        self.row = np.concatenate([np.arange(len(label)), np.full(len(whole_label), -1)])[order]
        self.first = np.searchsorted(image[order], np.arange(len(group) + 1))

    def truth(self) -> np.ndarray:
        """(L,) int64: pixels that carry each label."""
        counts = np.zeros(self.label_count, np.int64)
        pixels = np.append(self.masks.pixels, self.size[0] * self.size[1])  # the last, row -1: the whole image
        np.add.at(counts, self.label, pixels[self.row])
        return counts


class CpuCounter:
    """Counts on the CPU, in one thread: a ``PixelCounter``."""

    def __init__(self, thresholds: np.ndarray, primary: np.ndarray, start: Counts):
        """thresholds: (K,) float64. primary: (L,) category of each label. start: tables to add to."""
        self.limits = strict_limit(thresholds)
        self.primary = np.asarray(primary, np.int64)
        self._counts = start
        self._enlargers: dict[tuple[int, ...], Enlarger] = {}

    def add(self, labels: CpuLabels, firing: FiringMaps) -> None:
        """Count the masks of one group's firing maps."""
        image, unit, maps = firing.image.numpy(), firing.unit.numpy(), firing.maps.numpy()
        key = (*maps.shape[1:], *labels.size)
        if key not in self._enlargers:
            self._enlargers[key] = Enlarger(key[:2], labels.size)
        masks = self._enlargers[key](maps, self.limits[unit])
        np.add.at(self._counts.pixels, unit, masks.pixels)
        steps = partner_steps(labels.images, self._counts.both.shape[1])
        count_inside(masks, unit, np.searchsorted(image, np.arange(labels.images + 1)), labels.masks, labels.row,
                     labels.label, labels.first, self.primary, steps, self._counts.both, self._counts.activation)

    def counts(self) -> Counts:
        """The tables so far."""
        return self._counts
