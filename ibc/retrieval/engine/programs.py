"""What the search kernel does for each query: which planes it adds up, and how often each counts.

``SearchQueries`` flow in, ``Programs`` flow out. With c_k the whole-number weight of bit k, the distance of an item is
the sum of c_k x_k over the bits that the query wants to be 0, and of c_k (1 - x_k) over those that it wants to be 1: a
constant plus planes that are added, less planes that are subtracted. Weights that are not whole numbers are rounded to
7 bits of a common scale; the kernel weighs what comes near exactly. A weight is written with the digits -1, 0, 1 of
powers of 2, in which a third of the digits is not 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ibc.compiled import compiled
from ibc.retrieval.engine.plane_kernels import ADD_EIGHTS, ADD_SIXTEENS, COMPLEMENT, LANES
from ibc.retrieval.engine.queries import SearchQueries

LARGEST_WEIGHT = 127  # of the rounded ones


@dataclass(frozen=True)
class Programs:
    """Programs of Q queries, as ``plane_kernels`` takes them.

    words: (Q, n) int32, first words of the planes that are added, group by group. steps: (Q, S, 4) int64: kind
    (ADD_SIXTEENS, ...), level of the counters, first place in ``words``, number of groups. step_counts: (Q,).
    constants: (Q,) what the sum of the planes lacks. levels: (Q,) bits of the numbers. largest: (Q,) largest distance.
    scales, lows: (Q,) float64; an item counted as v is at least scales x v + lows away. Without weights 1 (0.5 in half
    steps) and 0.
    """

    words: np.ndarray
    steps: np.ndarray
    step_counts: np.ndarray
    constants: np.ndarray
    levels: np.ndarray
    largest: np.ndarray
    scales: np.ndarray
    lows: np.ndarray


def make_programs(queries: SearchQueries, undecided: bool) -> Programs:
    """Programs for tiles of K planes and a plane of zeros; with ``undecided``, K planes more before the zeros.

    Distances are then in half steps: an undecided bit counts half.
    """
    half = int(undecided)
    if queries.weights is None:
        rounded, scales, lows = np.abs(queries.signs).astype(np.int64), np.ones(len(queries)), np.zeros(len(queries))
    else:
        rounded, scales, lows = _round_weights(queries.weights)
    widest = int(rounded.max()).bit_length() + 1  # digits of a weight, at most every second of them not 0
    words = np.empty((len(queries), (widest // 2 + 1) * rounded.shape[1] * (1 + half) + 4 * widest * 16), np.int32)
    steps = np.empty((len(queries), 8 * widest + 1, 4), np.int64)
    step_counts = np.empty(len(queries), np.int64)
    write_programs(queries.signs, rounded, widest, half, words, steps, step_counts)
    largest = rounded.sum(axis=1) << half
    return Programs(words, steps, step_counts, (rounded * (queries.signs > 0)).sum(axis=1) << half,
                    np.array([int(most + 1).bit_length() + 1 for most in largest], np.int64), largest,
                    scales / (1 + half), lows)


def _round_weights(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(Q, K) whole numbers; (Q,) their scales, and how far below (at most 0) scale x sum the exact sum may lie."""
    scales = weights.max(axis=1) / LARGEST_WEIGHT
    rounded = np.rint(weights / scales[:, None])
    return rounded.astype(np.int64), scales, np.minimum(weights - scales[:, None] * rounded, 0).sum(axis=1)


@compiled
def write_programs(signs, weights, digits, half, words, steps, step_counts):
    """Write ``words``, ``steps`` and ``step_counts`` of ``Programs`` for signs (Q, K) and whole weights (Q, K)."""
    length = signs.shape[1]
    zero_plane = length << half
    for query in range(len(signs)):
        used = count = 0
        for side in (1, -1):  # first what is added, then, after the complement, what is subtracted
            if side < 0:
                steps[query, count] = COMPLEMENT, 0, 0, 0
                count += 1
            for kind in range(1 + half):  # the planes of +1; those of 0, which count half
                for digit in range(digits):
                    start = used
                    for bit in range(length):
                        sign, weight = signs[query, bit], weights[query, bit]
                        # Of weight + weight // 2, the bits that the carries changed are the digits that are not 0.
                        tripled = weight + (weight >> 1)
                        changed = tripled ^ (weight >> 1)
                        if sign == 0 or not (changed >> digit) & 1:
                            continue
                        sign_of_digit = 1 if (tripled >> digit) & 1 else -1
                        if (sign_of_digit if sign < 0 else -sign_of_digit) == side:
                            words[query, used] = (bit + kind * length) * LANES
                            used += 1
                    while (used - start) % 8 or (used - start) % 16 > 8:
                        words[query, used] = zero_plane * LANES
                        used += 1
                    level = digit + half - kind
                    for what, size, groups in ((ADD_SIXTEENS, 16, (used - start) // 16),
                                               (ADD_EIGHTS, 8, (used - start) % 16 // 8)):
                        if groups:
                            steps[query, count] = what, level, start, groups
                            start += size * groups
                            count += 1
        step_counts[query] = count
