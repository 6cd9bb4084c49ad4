"""Bits that tell about an attribute, chosen on training codes: by mutual information, as many as serve retrieval best.

A codes file with attribute columns flows in; bits in order of their information flow out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ibc.errors import input_error
from ibc.labels import MISSING, Labels
from ibc.retrieval.attributes import AttributeData, attribute_maps
from ibc.retrieval.mutual_info import mutual_info_score

COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # numbers of bits that are tried
MOST_ITEMS = 4000  # of a half, for the trial


@dataclass(frozen=True)
class AttributeBits:
    """bits: (n,) int64 from 0, most informative first. information: (n,) nats. tried: number of bits -> mAP of it on
    the half that did not rank the bits. has: images with the attribute.
    """

    bits: np.ndarray
    information: np.ndarray
    tried: dict[int, float]
    has: int


def attribute_bits(signs: np.ndarray, column: np.ndarray, name: str, seed: int = 0) -> AttributeBits:
    """Rank the bits of (N, K) ``signs`` by their mutual information with an attribute, and choose how many to take.

    column: (N,) values of the attribute, 1 for yes; images where it is missing (2) are left out. The images are
    divided into two halves, drawn from ``seed``. One half ranks the bits, the other says what mAP the first n of them
    give; then the halves change places. The best n of the two together (the smallest of equals) are taken of the
    ranking by all images. Raises InputError where fewer than four images have the attribute, or lack it.
    """
    known = column != MISSING
    signs, flags = signs[known], column[known] == 1
    if min(flags.sum(), (~flags).sum()) < 4:
        raise input_error("--attribute", f"'{name}' with {int(flags.sum())} of {len(flags)} images",
                          "at least 4 images that have it and 4 that do not", "choose the bits on other codes")
    counts = [count for count in COUNTS if count < signs.shape[1]] + [signs.shape[1]]
    order = np.random.default_rng(seed).permutation(len(signs))
    # Every other image of each kind goes to the same half: both get their share of the images that have it.
    order = np.concatenate([order[flags[order]], order[~flags[order]]])
    halves = [np.sort(order[start::2][:: max(1, -(-len(order) // (2 * MOST_ITEMS)))]) for start in (0, 1)]
    tried = dict.fromkeys(counts, 0.0)
    for ranked, judged in (halves, halves[::-1]):
        information = _information(signs[ranked], flags[ranked])
        best = np.argsort(-information, kind="stable")
        column_flags = flags[judged][:, None]
        for count in counts:
            part = signs[judged][:, best[:count]]
            maps = attribute_maps(AttributeData(part, column_flags, part, column_flags, same=True), "exclude")
            tried[count] += float(maps["expected"][0]) / 2
    information = _information(signs, flags)
    count = max(counts, key=lambda number: (round(tried[number], 9), -number))
    bits = np.argsort(-information, kind="stable")[:count]
    return AttributeBits(bits, information[bits], tried, int(flags.sum()))


def _information(signs: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """(K,) mutual information of each bit with the flag, in nats; images with and without it weigh half each."""
    score = mutual_info_score(signs, Labels(flags.astype(np.int64)), estimator="exact", samples="all")
    return np.asarray(score.table[list(score.classes).index(1)])
