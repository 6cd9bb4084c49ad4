"""What images have in common: the bits that more of them have than of the others.

Signs of a set of images and of the whole database flow in; the over-represented bits, best first, flow out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ibc.errors import input_error


@dataclass(frozen=True)
class SharedBit:
    """A bit that is over-represented in a set.

    bit: from 0. inside, outside: share of the set's images, and of all others, that have the bit (0 to 1). score: the
    log-likelihood ratio G of the table of counts (set or not, bit or not), at least 0: how much evidence there is that
    the two shares differ.
    """

    bit: int
    inside: float
    outside: float
    score: float


def shared_bits(inside: np.ndarray, outside: np.ndarray) -> list[SharedBit]:
    """The bits whose share is larger inside the set than outside, by descending log-likelihood ratio.

    inside: (n, K), outside: (m, K) signs in {-1, 0, +1}; an undecided bit (0) counts half. Ties by bit number. Raises
    InputError where one of the two is empty.
    """
    return _over_represented(_ones(inside), len(inside), _ones(outside), len(outside))


def shared_by_rows(signs: np.ndarray, rows: np.ndarray) -> list[SharedBit]:
    """``shared_bits`` of some rows of a database against all its other rows."""
    mine = signs[np.unique(np.asarray(rows, np.int64))]
    inside = _ones(mine)
    return _over_represented(inside, len(mine), _ones(signs) - inside, len(signs) - len(mine))


def _over_represented(inside: np.ndarray, count: int, outside: np.ndarray, others: int) -> list[SharedBit]:
    """From how many of ``count`` and of ``others`` images have each bit, (K,) each."""
    if not count or not others:
        raise input_error("--common", f"{count} images in the set and {others} outside", "some of both")
    sizes = np.array([[count], [others]], np.float64)
    ones = np.stack([inside, outside])  # (2, K)
    shares = ones / sizes
    pooled = ones.sum(axis=0) / sizes.sum()
    observed = np.stack([ones, sizes - ones])
    expected = np.stack([sizes * pooled, sizes * (1 - pooled)])
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(observed > 0, observed * np.log(observed / expected), 0)
    scores = np.maximum(2 * terms.sum(axis=(0, 1)), 0)
    order = np.argsort(-scores, kind="stable")
    return [SharedBit(int(bit), float(shares[0, bit]), float(shares[1, bit]), float(scores[bit]))
            for bit in order if shares[0, bit] > shares[1, bit]]


def _ones(signs: np.ndarray) -> np.ndarray:
    """(K,) float64, how many images have each bit; undecided ones count half."""
    return np.asarray((signs > 0).sum(axis=0) + 0.5 * (signs == 0).sum(axis=0), np.float64)
