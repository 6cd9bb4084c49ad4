"""Are these good codes? Balance, dead and duplicate bits, correlation, and more.

A ``CodeSet`` flows in; a ``CodeHealth`` flows out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ibc.codes import CodeSet, pack_bits

UNDECIDED = 0.1  # a sigmoid value this near to 0.5 may fall on either side
IN_CLASS = 0.5  # entries of the GRM above this count as bits of the class


@dataclass
class CodeHealth:
    """Of N codes of K bits. Shares are from 0 to 1; bit numbers are 0-based.

    items: N. share_of_ones: (K,) share of the codes with bit 1. dead: bits equal in all codes.
    duplicates: pairs of bits that always agree, or never do (neither is dead).
    correlation: (K, K) of the signs, NaN at dead bits.
    distinct, largest: number of different codes, and how many items share the commonest one.
    values: counts of the sigmoid values in equal bins of [0, 1].
    quantisation: mean distance of the sigmoid values from 0 or 1, whichever is nearer.
    undecided: share of the sigmoid values within 0.1 of 0.5.
    With a GRM: grm_zeros, share of its entries that are 0; bits_per_class (C,) and classes_per_bit (K,), entries above
    0.5 in its rows and columns.
    """

    items: int
    share_of_ones: np.ndarray
    dead: np.ndarray
    duplicates: list[tuple[int, int]]
    correlation: np.ndarray
    distinct: int
    largest: int
    values: np.ndarray
    quantisation: float
    undecided: float
    grm_zeros: float | None = None
    bits_per_class: np.ndarray | None = None
    classes_per_bit: np.ndarray | None = None

    @property
    def correlations(self) -> np.ndarray:
        """Absolute correlations of two living bits, each pair once."""
        upper = np.abs(self.correlation[np.triu_indices(len(self.correlation), 1)])
        return upper[~np.isnan(upper)]


def code_health(codes: CodeSet, bins: int = 50) -> CodeHealth:
    """Examine all codes of a file. bins: of the histogram of the sigmoid values."""
    signs, values = codes.bits, codes.binary_codes
    ones = (signs > 0).mean(axis=0) if len(codes) else np.full(codes.code_length, np.nan)
    dead = np.flatnonzero((signs == signs[:1]).all(axis=0)) if len(codes) else np.array([], np.int64)
    correlation = _correlation(signs)
    packed = np.hstack([plane for plane in pack_bits(signs) if plane is not None])
    _, counts = np.unique(packed.view(np.dtype((np.void, packed.shape[1] * 8))), return_counts=True)
    health = CodeHealth(
        len(codes), ones, dead, _duplicates(signs, dead, correlation), correlation, len(counts),
        int(counts.max(initial=0)), np.histogram(values, bins, (0, 1))[0],
        float(np.minimum(np.abs(values), np.abs(1 - values)).mean()) if values.size else float("nan"),
        float((np.abs(values - 0.5) < UNDECIDED).mean()) if values.size else float("nan"))
    if codes.grm is not None:
        strong = codes.grm > IN_CLASS
        health.grm_zeros = float((codes.grm == 0).mean())
        health.bits_per_class, health.classes_per_bit = strong.sum(axis=1), strong.sum(axis=0)
    return health


def _correlation(signs: np.ndarray) -> np.ndarray:
    """(K, K) float64 Pearson correlation, NaN at constant columns. Sums of products of signs are exact."""
    if not len(signs):
        return np.full((signs.shape[1],) * 2, np.nan)
    products = np.zeros((signs.shape[1],) * 2)
    for start in range(0, len(signs), 1 << 16):
        part = signs[start : start + (1 << 16)].astype(np.float32)
        products += part.T @ part
    mean = signs.mean(axis=0, dtype=np.float64)
    covariance = products / len(signs) - np.outer(mean, mean)
    deviation = np.sqrt(np.where((signs == signs[:1]).all(axis=0), np.nan, np.diag(covariance)))
    return covariance / np.outer(deviation, deviation)


def _duplicates(signs: np.ndarray, dead: np.ndarray, correlation: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of living bits that are equal, or opposite, in every code. The correlation only says where to look."""
    first, second = np.nonzero(np.triu(np.abs(correlation) > 1 - 1e-6, 1))
    gone = set(dead.tolist())
    return [(a, b) for a, b in zip(first.tolist(), second.tolist(), strict=True) if not {a, b} & gone and (
        np.array_equal(signs[:, a], signs[:, b]) or np.array_equal(signs[:, a], -signs[:, b]))]
