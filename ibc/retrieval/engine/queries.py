"""The queries of a search, checked: which sign each bit should have, and how much it weighs.

Arrays of a caller flow in; ``SearchQueries`` flow out, which every search path takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ibc.codes import as_signs
from ibc.errors import input_error
from ibc.labels import as_array


@dataclass(frozen=True)
class SearchQueries:
    """Q queries of K bits, as the search takes them.

    signs: (Q, K) int8, the wanted sign of each bit; 0 where a bit does not count. Every query has a bit that counts.
    weights: (Q, K) float64, above 0 exactly where a bit counts; None where all bits that count weigh 1.
    """

    signs: np.ndarray
    weights: np.ndarray | None

    def __len__(self) -> int:
        """Q, the number of queries."""
        return len(self.signs)

    def rows(self, rows: slice) -> SearchQueries:
        """Some of the queries."""
        return SearchQueries(self.signs[rows], None if self.weights is None else self.weights[rows])

    @property
    def bits_used(self) -> np.ndarray:
        """(Q,) number of bits that count."""
        return np.count_nonzero(self.signs, axis=1)


def make_queries(query_bits: Any, bits: Any, weights: Any, length: int) -> SearchQueries:
    """Check queries, bit sets and weights for a database of ``length`` bits; arguments as ``search`` takes them.

    A graded query value q counts as the sign of q with the weight |q|. Weights that are all 1 are dropped. Raises
    InputError where something does not fit, and for a query on which no bit counts.
    """
    values = as_array(query_bits)
    graded = None
    if values.ndim == 2 and values.dtype.kind == "f" and not np.isin(values, (-1, 0, 1)).all():
        if not (np.abs(values) <= 1).all():
            bad = values[~(np.abs(values) <= 1)][0]
            raise input_error(None, f"the value {bad} in query_bits", "signs -1, 0 and +1, or grades from -1 to 1")
        graded = np.abs(values.astype(np.float64))
        signs = np.sign(values).astype(np.int8)
    else:
        signs = as_signs("query_bits", values)
    if signs.shape[1] != length:
        raise input_error(None, f"queries of {signs.shape[1]} bits", f"{length}, as in the database",
                          "take both from the same model")
    signs = np.where(_chosen(bits, signs.shape), signs, 0).astype(np.int8, copy=False)
    found = _checked_weights(weights, signs.shape)
    if graded is not None:
        found = graded if found is None else found * graded
    if found is not None:
        signs = np.where(found > 0, signs, 0).astype(np.int8, copy=False)
        found = np.where(signs != 0, found, 0.0)
        if np.array_equal(found, signs != 0):
            found = None
    empty = np.flatnonzero(~signs.any(axis=1))
    if len(empty):
        raise input_error(None, f"no bit that counts in query {empty[0] + 1}", "at least one chosen bit",
                          "choose other bits, or give weights above 0")
    return SearchQueries(signs, found)


def _chosen(bits: Any, shape: tuple[int, int]) -> np.ndarray:
    """(Q, K) or (1, K) bool, from bit numbers: None for all, one set, or one set a query."""
    if bits is None:
        return np.ones((1, shape[1]), bool)
    own = as_array(bits) if hasattr(bits, "shape") else bits
    one_a_query = any(np.ndim(part) for part in own) if not isinstance(own, np.ndarray) else own.ndim == 2
    sets = list(own) if one_a_query else [own]
    if one_a_query and len(sets) != shape[0]:
        raise input_error(None, f"{len(sets)} bit sets for {shape[0]} queries", "one set, or one a query")
    chosen = np.zeros((len(sets), shape[1]), bool)
    for row, numbers in enumerate(sets):
        numbers = np.asarray(numbers)
        if numbers.size == 0:
            raise input_error(None, "an empty set of bits", "at least one bit")
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
            raise input_error(None, f"bits of shape {numbers.shape} and type {numbers.dtype}", "whole numbers from 0")
        if numbers.min() < 0 or numbers.max() >= shape[1]:
            bad = numbers[(numbers < 0) | (numbers >= shape[1])][0]
            raise input_error(None, f"bit {bad} (counted from 0)", f"0 to {shape[1] - 1}, the code length less one")
        chosen[row, numbers] = True
    return chosen


def _checked_weights(weights: Any, shape: tuple[int, int]) -> np.ndarray | None:
    """(Q, K) float64, or None."""
    if weights is None:
        return None
    found = as_array(weights)
    if found.dtype.kind not in "buif" or found.shape not in (shape, shape[1:]):
        raise input_error(None, f"weights of shape {found.shape} and type {found.dtype}",
                          f"numbers of shape {shape[1:]} or {shape}, one for each bit")
    if not (np.isfinite(found) & (found >= 0)).all():
        raise input_error(None, f"the weight {found[~(np.isfinite(found) & (found >= 0))][0]}",
                          "finite numbers from 0")
    return np.broadcast_to(found.astype(np.float64), shape)
