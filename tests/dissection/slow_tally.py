"""The tally as the reference describes it: one image, one unit and one label at a time."""

from __future__ import annotations

import numpy as np
from PIL import Image


def resize(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(values, mode="F").resize(size[::-1], Image.Resampling.BILINEAR))


def slow_counts(maps, thresholds, planes, scalars, primary, categories, partner=None):
    """Counts with the labels of ``partner[i]`` (default i) laid under the masks of image i.

    maps: (N, K, h, w). planes: N arrays (P, H, W). scalars: N tuples. Returns both (K, L),
    activation (K, C), truth (L,), pixels (K,).
    """
    units, labels = len(thresholds), len(primary)
    both, activation = np.zeros((units, labels)), np.zeros((units, categories))
    truth, pixels = np.zeros(labels), np.zeros(units)
    for image in range(len(maps)):
        other = image if partner is None else partner[image]
        size = planes[other].shape[1:]
        for plane in planes[other]:
            for label in np.unique(plane[plane > 0]):
                truth[label] += (plane == label).sum()
        for scalar in scalars[other]:
            truth[scalar] += size[0] * size[1]
        for unit in range(units):
            if not float(maps[image, unit].max()) > thresholds[unit]:
                continue
            mask = resize(maps[image, unit], size).astype(np.float64) > thresholds[unit]
            pixels[unit] += mask.sum()
            present = np.zeros(categories)
            for plane in planes[other]:
                for label in plane[mask & (plane > 0)]:
                    both[unit, label] += 1
                    present[primary[label]] += 1
            for scalar in scalars[other]:
                both[unit, scalar] += mask.sum()
                present[primary[scalar]] += 1
            activation[unit] += mask.sum() * (present > 0)
    return both, activation, truth, pixels


def slow_iou(both, activation, truth, primary):
    table = np.zeros_like(both)
    for unit in range(len(both)):
        for label in range(len(truth)):
            union = activation[unit, primary[label]] + truth[label] - both[unit, label]
            table[unit, label] = both[unit, label] / (union + 1e-10)
    return table
