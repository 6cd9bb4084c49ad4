"""Masks packed 64 pixels to a word, and the compiled loops over them (CPU).

Feature maps become masks of the pixels above a threshold. Label planes become one mask for each label in them. The
pixels of every label inside every mask are then counted by AND and population count. A mask is a row of words; each
pixel row begins with a new word.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import types, uint64
from numba.extending import intrinsic

from ibc.compiled import compiled
from ibc.dissection.counting.bilinear import taps, weight_matrix

WORD = 64


@dataclass
class Masks:
    """M bit masks of H x W pixels.

    words: (M, H * ceil(W / 64)) uint64. low, high: (M,) int64, words before ``low`` and from ``high`` on are zero.
    pixels: (M,) int64 pixels set.
    """

    words: np.ndarray
    low: np.ndarray
    high: np.ndarray
    pixels: np.ndarray

    @classmethod
    def of(cls, words: np.ndarray) -> Masks:
        """words: (M, H, ceil(W / 64)) uint64."""
        words = words.reshape(len(words), words.shape[1] * words.shape[2])
        return cls(words, *_measure(words))


class Enlarger:
    """Turns feature maps of one size into masks of one size: enlarged as Pillow does, then compared with a limit."""

    def __init__(self, map_size: tuple[int, int], size: tuple[int, int]):
        """(height, width) of the feature maps, and of the masks."""
        self.size = size
        self._vertical = taps(weight_matrix(map_size[0], size[0]))
        self._horizontal = taps(weight_matrix(map_size[1], size[1]))

    def __call__(self, maps: np.ndarray, limits: np.ndarray) -> Masks:
        """(P, h, w) float32 maps -> P masks of the pixels above limits (P,) float32."""
        words = np.zeros((len(maps), self.size[0], _words(self.size[1])), np.uint64)
        _enlarge(np.ascontiguousarray(maps, np.float32), np.asarray(limits, np.float32),
                 *self._vertical, *self._horizontal, words)
        return Masks.of(words)


def label_masks(planes: np.ndarray, label_count: int) -> tuple[Masks, np.ndarray, np.ndarray]:
    """(P, H, W) uint16 planes -> a mask for every label of every plane but label 0.

    Returns the masks, those of the first plane first, with the label and the plane of each, (M,) int64.
    """
    row_of = np.empty(label_count, np.int64)
    labels, plane = _list_labels(planes, row_of)
    words = np.zeros((len(labels), planes.shape[1], _words(planes.shape[2])), np.uint64)
    _fill(planes, row_of, words)
    return Masks.of(words), labels, plane


def unpack(masks: Masks, size: tuple[int, int]) -> np.ndarray:
    """Masks as (M, H, W) bool. size: (H, W)."""
    words = masks.words.reshape(len(masks.words), size[0], -1)
    return np.unpackbits(words.astype("<u8").view(np.uint8), axis=-1, bitorder="little")[..., : size[1]].astype(bool)


def count_inside(masks: Masks, unit: np.ndarray, mask_first: np.ndarray, regions: Masks, row: np.ndarray,
                 label: np.ndarray, region_first: np.ndarray, primary: np.ndarray, steps: np.ndarray,
                 both: np.ndarray, activation: np.ndarray) -> None:
    """Add the pixels of a group of n images to both (K, S, L) and activation (K, S, C), for every pairing.

    masks: of the units. Those of image i begin at mask_first[i] and end before mask_first[i + 1]. unit: (M,) unit of
    each. regions: masks of labels. Entries region_first[i] to region_first[i + 1] of (row, label) are the labels of
    image i: ``row`` is the place in ``regions``, -1 for a label of the whole image. primary: (L,) category of a label.
    steps: (S,), in pairing s image i meets the labels of image (i + steps[s]) % n.
    """
    _count(masks.words, masks.low, masks.high, masks.pixels, unit, mask_first, regions.words, regions.low,
           regions.high, row, label, region_first, primary, steps, both, activation)


def _words(width: int) -> int:
    """Words that a pixel row takes."""
    return -(-width // WORD)


@intrinsic
def _ones(_, word):
    """Number of set bits of a 64-bit word."""
    return types.uint64(types.uint64), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


@compiled
def _measure(words):
    """The fields ``low``, ``high`` and ``pixels`` of Masks."""
    low, high = np.zeros(len(words), np.int64), np.zeros(len(words), np.int64)
    pixels = np.zeros(len(words), np.int64)
    for m in range(len(words)):
        low[m] = words.shape[1]
        for w in range(words.shape[1]):
            if words[m, w]:
                low[m] = min(low[m], w)
                high[m] = w + 1
                pixels[m] += np.int64(_ones(words[m, w]))
    return low, high, pixels


@compiled
def _enlarge(maps, limits, y_first, y_weights, x_first, x_weights, words):
    """Set the bits in words (P, H, ceil(W / 64)) where an enlarged map (P, h, w) is above its limit."""
    height, width = y_first.shape[0], x_first.shape[0]
    rows = np.empty((maps.shape[1], width), np.float32)
    line = np.empty(width, np.float64)
    live = np.empty(maps.shape[1], np.bool_)
    for p in range(maps.shape[0]):
        limit = limits[p]
        for y in range(maps.shape[1]):
            live[y] = False
            for x in range(maps.shape[2]):
                live[y] |= maps[p, y, x] > limit
            for x in range(width):
                total = 0.0
                for tap in range(x_weights.shape[1]):
                    total += np.float64(maps[p, y, x_first[x] + tap]) * x_weights[x, tap]
                rows[y, x] = total
        for y in range(height):
            first = y_first[y]
            alive = False
            for tap in range(y_weights.shape[1]):
                alive |= live[first + tap]
            if not alive:  # a mean of values at or below the limit is not above it
                continue
            weight = y_weights[y, 0]
            for x in range(width):
                line[x] = np.float64(rows[first, x]) * weight
            for tap in range(1, y_weights.shape[1]):
                weight = y_weights[y, tap]
                for x in range(width):
                    line[x] += np.float64(rows[first + tap, x]) * weight
            for w in range(words.shape[2]):
                word = uint64(0)
                for bit in range(min(WORD, width - w * WORD)):
                    word |= uint64(np.float32(line[w * WORD + bit]) > limit) << uint64(bit)
                words[p, y, w] = word


@compiled
def _list_labels(planes, row_of):
    """Label and plane of every mask of ``label_masks``, in order of appearance."""
    labels, plane = [0 for _ in range(0)], [0 for _ in range(0)]
    row_of[:] = -1
    for p in range(planes.shape[0]):
        begin = len(labels)
        for y in range(planes.shape[1]):
            for x in range(planes.shape[2]):
                label = planes[p, y, x]
                if label and row_of[label] < begin:
                    row_of[label] = len(labels)
                    labels.append(np.int64(label))
                    plane.append(p)
    return np.array(labels, np.int64), np.array(plane, np.int64)


@compiled
def _fill(planes, row_of, words):
    """Set the bits of the masks that ``_list_labels`` has listed, in the same order."""
    row_of[:] = -1
    end = 0
    for p in range(planes.shape[0]):
        begin = end
        for y in range(planes.shape[1]):
            for x in range(planes.shape[2]):
                label = planes[p, y, x]
                if label:
                    if row_of[label] < begin:
                        row_of[label] = end
                        end += 1
                    words[row_of[label], y, x // WORD] |= uint64(1) << uint64(x % WORD)


@compiled
def _count(masks, mask_low, mask_high, pixels, unit, mask_first, regions, region_low, region_high, row, label,
           region_first, primary, steps, both, activation):
    """The loop of ``count_inside``."""
    images = len(mask_first) - 1
    present = np.zeros((len(masks), activation.shape[2]), np.bool_)
    for image in range(images):
        begin, end = mask_first[image], mask_first[image + 1]
        if begin == end:
            continue
        for s in range(len(steps)):
            other = (image + steps[s]) % images
            present[begin:end] = False
            for k in range(region_first[other], region_first[other + 1]):
                category = primary[label[k]]
                for m in range(begin, end):  # innermost, so that the region stays in the nearest cache
                    inside = pixels[m]
                    if row[k] >= 0:
                        mask, region = masks[m], regions[row[k]]
                        ones = uint64(0)
                        for w in range(max(mask_low[m], region_low[row[k]]), min(mask_high[m], region_high[row[k]])):
                            ones += _ones(mask[w] & region[w])
                        inside = np.int64(ones)
                    if inside:
                        both[unit[m], s, label[k]] += inside
                        present[m, category] = True
            for m in range(begin, end):
                for category in range(activation.shape[2]):
                    if present[m, category]:
                        activation[unit[m], s, category] += pixels[m]
