"""One masked or weighted query, ready to be written as SQL.

The distance is the sum over the chosen bits of weight x (query and item differ). SQL counts differing bits, so the
chosen bits are grouped by weight: distance = sum over the groups of weight x bit_count((code xor query) and mask).
Without weights there is one group of weight 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ibc.errors import input_error

WORD = 64  # bits of a word


@dataclass(frozen=True)
class MaskedQuery:
    """A query whose codes and masks are whole numbers: bit k (from 0) of a code has the value 2^k in them.

    code: the query's bits, within the masks. groups: (weight, mask) pairs; no bit is in two of them. length: K, the
    code length. top: how many results are wanted. label: what the query is, for people.
    """

    code: int
    groups: tuple[tuple[float, int], ...]
    length: int
    top: int
    label: str = "query"

    @property
    def mask(self) -> int:
        """All bits that take part."""
        return sum(mask for _, mask in self.groups)  # the groups have no bit in common

    @property
    def bits(self) -> list[int]:
        """Their numbers, from 0."""
        return [bit for bit in range(self.length) if self.mask >> bit & 1]

    @property
    def words(self) -> int:
        """Number of 64-bit words of a code."""
        return -(-self.length // WORD)


def masked_query(signs: np.ndarray, bits: Sequence[int] | np.ndarray | None = None,
                 weights: np.ndarray | None = None, *, top: int = 100, label: str = "query") -> MaskedQuery:
    """The query of (K,) ``signs`` on the 0-based ``bits`` (None: all), with (K,) ``weights`` of at least 0.

    A bit with sign 0 does not take part, nor does a bit of weight 0. Raises InputError where no bit is left, for bits
    beyond the code, for weights that are negative or not finite, and for ``top`` below 1.
    """
    signs = np.asarray(signs)
    length = len(signs)
    chosen = np.arange(length) if bits is None else np.unique(np.asarray(bits, np.int64))
    if len(chosen) and not 0 <= chosen[0] <= chosen[-1] < length:
        wrong = chosen[0] if chosen[0] < 0 else chosen[-1]
        raise input_error("bits", f"bit {wrong + 1}", f"bits from 1 to {length}, the code length")
    factors = np.ones(length) if weights is None else np.asarray(weights, np.float64)
    if factors.shape != (length,) or not np.isfinite(factors).all() or (factors < 0).any():
        raise input_error("weights", f"weights of shape {factors.shape}", f"{length} numbers of at least 0")
    if top < 1:
        raise input_error("--top", str(top), "at least 1")
    chosen = chosen[(signs[chosen] != 0) & (factors[chosen] > 0)]
    if not len(chosen):
        raise input_error("bits", "a mask of no bits", "at least one bit that the query has decided",
                          "choose other bits or another item")
    groups = tuple((float(factor), as_number(chosen[factors[chosen] == factor]))
                   for factor in np.unique(factors[chosen]))
    return MaskedQuery(as_number(chosen[signs[chosen] > 0]), groups, length, top, label)


def as_number(bits: np.ndarray) -> int:
    """The whole number in which the given bits (from 0) are set."""
    return sum(1 << int(bit) for bit in bits)


def words_of(number: int, words: int) -> list[int]:
    """The 64-bit words of a code's number, the one of bit 0 first."""
    return [number >> WORD * place & (1 << WORD) - 1 for place in range(words)]
