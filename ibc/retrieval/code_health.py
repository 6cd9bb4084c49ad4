"""Are these good codes? Balance, dead and duplicate bits, and more.

A ``CodeSet`` flows in; a ``CodeHealth`` flows out, as lines, as metrics, and as one figure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from ibc.codes import CodeSet

UNDECIDED = 0.1  # a sigmoid value this near to 0.5 may fall on either side
IN_CLASS = 0.5  # entries of the GRM above this count as bits of the class


@dataclass
class CodeHealth:
    """Of N codes of K bits. Shares are from 0 to 1; bit indices are 0-based.

    share_of_ones: (K,). dead: bits equal in all codes. duplicates: pairs of bits that always agree, or never do
    (neither dead). correlation: (K, K) of the signs, NaN at dead bits. distinct, largest: number of different codes,
    and how many items share the commonest one. values: counts of sigmoid values in equal bins of [0, 1].
    quantisation: mean distance of the sigmoid values from 0 or 1, whichever is nearer. undecided: share of values
    within 0.1 of 0.5. With a GRM: grm_zeros: share of zero entries. bits_per_class (C,), classes_per_bit (K,):
    entries above 0.5 in rows and columns.
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
        """Absolute correlations of different living bits, each pair once."""
        import numpy as np

        upper = np.abs(self.correlation[np.triu_indices(len(self.correlation), 1)])
        return upper[~np.isnan(upper)]

    def lines(self) -> Iterator[str]:
        """For people; bits from 1."""
        ones = self.share_of_ones
        if not self.items:
            yield "no codes"
            return
        pairs = self.correlations
        yield f"bit balance: {ones.mean():.3f} of all bits are 1; by bit from {ones.min():.3f} to {ones.max():.3f}"
        yield f"dead bits, equal in all codes: {len(self.dead)}{_list(str(bit + 1) for bit in self.dead)}"
        twins = [f"{first + 1} and {second + 1}" for first, second in self.duplicates]
        yield f"duplicate bits, always or never agreeing: {len(twins)}{_list(twins)}"
        if len(pairs):
            yield f"correlation of two bits: {pairs.mean():.3f} on average, at most {pairs.max():.3f} (absolute)"
        yield (f"distinct codes: {self.distinct:,} of {self.items:,} ({self.distinct / self.items:.1%}); "
               f"the commonest is shared by {self.largest:,}")
        yield (f"quantisation: sigmoid values are {self.quantisation:.4f} from 0 or 1 on average; "
               f"{self.undecided:.2%} are within {UNDECIDED} of 0.5")
        if self.bits_per_class is not None and self.classes_per_bit is not None:
            rows, columns = self.bits_per_class, self.classes_per_bit
            yield (f"GRM: {self.grm_zeros:.1%} zeros; bits above {IN_CLASS} a class: {rows.mean():.1f} on average, "
                   f"{rows.min()} to {rows.max()}; classes a bit: {columns.mean():.1f}, "
                   f"{columns.min()} to {columns.max()}")

    def metrics(self) -> dict[str, Any]:
        pairs = self.correlations
        found: dict[str, Any] = {
            "items": self.items, "share_of_ones": self.share_of_ones, "dead_bits_index": self.dead,
            "duplicate_bits_index": self.duplicates,
            "correlation_mean": pairs.mean() if len(pairs) else None,
            "correlation_max": pairs.max() if len(pairs) else None,
            "distinct_codes": self.distinct, "items_of_commonest_code": self.largest,
            "quantisation_error": self.quantisation, "undecided_share": self.undecided,
        }
        if self.bits_per_class is not None:
            found |= {"grm_zero_share": self.grm_zeros, "bits_per_class": self.bits_per_class,
                      "classes_per_bit": self.classes_per_bit}
        return found


def code_health(codes: CodeSet, bins: int = 50) -> CodeHealth:
    """Look at all codes of a file."""
    import numpy as np

    from ibc.codes import pack_bits

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
    import numpy as np

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
    """Pairs of living bits that are equal, or opposite, in every code (correlation only says where to look)."""
    import numpy as np

    first, second = np.nonzero(np.triu(np.abs(correlation) > 1 - 1e-6, 1))
    gone = set(dead.tolist())
    return [(a, b) for a, b in zip(first.tolist(), second.tolist(), strict=True) if not {a, b} & gone and (
        np.array_equal(signs[:, a], signs[:, b]) or np.array_equal(signs[:, a], -signs[:, b]))]


def _list(items: Any, most: int = 10) -> str:
    """" (a, b, c)", cut after ``most``; empty for none."""
    items = list(items)
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return f" ({', '.join(items[:most])}{more})" if items else ""
