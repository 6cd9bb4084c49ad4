"""Bilinear enlargement with the arithmetic of Pillow (mode F): the weights, and exact 32-bit thresholds.

The official tool enlarges a feature map to the size of the label map with Pillow, then compares with the threshold.
Pillow sums in 64 bits, first along rows, then along columns, and rounds to 32 bits after each step. Only the same
rounding puts pixels near a threshold on the same side. (Where it shrinks, Pillow 13 takes columns first in some cases.
A map that is larger than the label map is then equal up to this rounding.)
"""

from __future__ import annotations

import numpy as np


def weight_matrix(size_in: int, size_out: int) -> np.ndarray:
    """(size_out, size_in) float64: row y holds the weights of the input samples in output y.

    Pixel centres lie at half-integers and edges are clamped. When shrinking, the triangle is as wide as the step.
    Follows ``precompute_coeffs`` of Pillow's Resample.c.
    """
    if size_in == size_out:
        return np.eye(size_in)
    matrix = np.zeros((size_out, size_in))
    scale = size_in / size_out
    reach = max(scale, 1.0)
    for place in range(size_out):
        centre = (place + 0.5) * scale
        first = max(int(centre - reach + 0.5), 0)
        last = min(int(centre + reach + 0.5), size_in)
        weights = 1.0 - np.abs((np.arange(first, last) - centre + 0.5) * (1.0 / reach))
        weights = np.maximum(weights, 0.0)
        matrix[place, first:last] = weights / np.cumsum(weights)[-1]  # Pillow sums in this order
    return matrix


def taps(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The non-zero span of each row of a weight matrix: first sample (out,) int64, weights (out, T) float64."""
    used = matrix != 0
    first = used.argmax(axis=1)
    last = matrix.shape[1] - used[:, ::-1].argmax(axis=1)
    width = int((last - first).max())
    first = np.minimum(first, matrix.shape[1] - width)
    return first.astype(np.int64), np.take_along_axis(matrix, first[:, None] + np.arange(width), axis=1)


def strict_limit(thresholds: np.ndarray) -> np.ndarray:
    """float32 limits for float64 thresholds: for every float32 x, x > limit exactly when x > threshold."""
    thresholds = np.asarray(thresholds, np.float64)
    limits = thresholds.astype(np.float32)
    return np.where(limits > thresholds, np.nextafter(limits, np.float32(-np.inf)), limits)
