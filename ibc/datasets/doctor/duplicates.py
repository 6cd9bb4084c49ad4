"""Images that are in train and test at once: the same bytes, or nearly the same look.

Looks are compared by 64-bit perceptual hashes: the fewer bits differ, the more alike two images look.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

HASH_BITS = 64
_BLOCK = 1 << 22  # candidate pairs looked at together


class HashMatches(NamedTuple):
    """The test images that look like a training image, all (M,) int64.

    test: place of the test image. train: place of the training image nearest to it. distance: bits that differ.
    """

    test: np.ndarray
    train: np.ndarray
    distance: np.ndarray


def equal_pairs(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(places in test, places in train) of equal entries; of several equal training entries the first is taken."""
    values, first = np.unique(train, return_index=True)
    if not len(values):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    place = np.minimum(np.searchsorted(values, test), len(values) - 1)
    found = np.flatnonzero(values[place] == test)
    return found, first[place[found]]


def near_pairs(train: np.ndarray, test: np.ndarray, most: int) -> HashMatches:
    """The nearest training hash of each test hash, where at most ``most`` bits differ.

    train: (N,) uint64. test: (M,) uint64. The search is exact: the bits are split into ``most`` + 1 bands. Two hashes
    that differ in at most ``most`` bits are equal in one band or more, so only pairs that are equal in a band are
    compared.
    """
    values, first = np.unique(train, return_index=True)
    best = np.full(len(test), HASH_BITS + 1, dtype=np.int64)
    nearest = np.zeros(len(test), dtype=np.int64)
    edges = np.linspace(0, HASH_BITS, most + 2).astype(int)
    for low, high in pairwise(edges):
        mask = np.uint64(((1 << int(high - low)) - 1) << int(low))
        order = np.argsort(values & mask, kind="stable")
        bands = (values & mask)[order]
        start = np.searchsorted(bands, test & mask, side="left")
        count = np.searchsorted(bands, test & mask, side="right") - start
        for rows in _blocks(count):
            repeated = np.repeat(rows, count[rows])
            inside = np.arange(len(repeated)) - np.repeat(np.cumsum(count[rows]) - count[rows], count[rows])
            candidates = order[start[repeated] + inside]
            distance = np.bitwise_count(values[candidates] ^ test[repeated]).astype(np.int64)
            ranked = np.lexsort((first[candidates], distance))[::-1]  # the nearest is written last
            closer = ranked[distance[ranked] < best[repeated[ranked]]]
            best[repeated[closer]] = distance[closer]
            nearest[repeated[closer]] = first[candidates[closer]]
    found = np.flatnonzero(best <= most)
    return HashMatches(found, nearest[found], best[found])


def _blocks(count: np.ndarray) -> list[np.ndarray]:
    """Blocks of consecutive rows with about _BLOCK candidates each; rows without a candidate are left out."""
    rows = np.flatnonzero(count)
    starts = np.flatnonzero(np.diff(np.cumsum(count[rows]) // _BLOCK)) + 1
    return [part for part in np.split(rows, starts) if len(part)]
