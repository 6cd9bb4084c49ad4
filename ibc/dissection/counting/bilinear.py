"""Bilinear enlargement with Pillow's arithmetic (mode F): the weights, and exact 32-bit limits.

Pillow sums in 64 bits, along rows and then along columns, and rounds to 32 bits after each; pixels
near a threshold fall on the same side only if that is kept. (Where it shrinks, its version 13 takes
columns first in some cases; a map larger than the label map is then equal up to this rounding.)
"""

from __future__ import annotations

import numpy as np


def weight_matrix(size_in: int, size_out: int) -> np.ndarray:
    """(size_out, size_in) float64: row y holds the weights of the input samples in output y.

    Pixel centres at half-integers, edges clamped; a triangle as wide as the step when shrinking.
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
        matrix[place, first:last] = weights / np.cumsum(weights)[-1]  # summed in order, as there
    return matrix


def taps(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A weight matrix as (first sample (out,) int64, weights (out, T) float64) of its non-zero span."""
    used = matrix != 0
    first = used.argmax(axis=1)
    last = matrix.shape[1] - used[:, ::-1].argmax(axis=1)
    width = int((last - first).max())
    first = np.minimum(first, matrix.shape[1] - width)
    return first.astype(np.int64), np.take_along_axis(matrix, first[:, None] + np.arange(width), axis=1)


def strict_limit(thresholds: np.ndarray) -> np.ndarray:
    """float32 limits such that, for every float32 x, x > limit exactly when x > threshold (float64)."""
    thresholds = np.asarray(thresholds, np.float64)
    limits = thresholds.astype(np.float32)
    return np.where(limits > thresholds, np.nextafter(limits, np.float32(-np.inf)), limits)
