"""What a view of the explorer asks for, and the ranking that it shows: the Python twin of the page's own.

A state is what the page keeps in its address::

    {"positive": [item, ...],        example images that the results should be like, numbers from 0
     "negative": [item, ...],        examples that they should be unlike
     "mode": "all" | "expert" | "bits",
     "class": number or null,        whose expert bits count in the mode "expert"
     "bits": [[bit, want], ...]}     chips: bit numbers from 0; want +1: the bit must be 1, -1: it must be 0

The distance of an image is the number of chosen bits that differ from the wanted value; an undecided bit of an image
(a code value of exactly 0.5) counts one half. Ties stand in the order of the items.

- Modes "all" and "expert": the wanted value of bit k is the sign of (mean of the positive examples' signs - mean of
  the negative examples' signs); the mean of no example is 0. Bits where that is 0 do not count. In "expert" only the
  expert bits of the class count; without a class all bits do. A chip adds its bit with its own value, in place of
  the examples' one where both speak of the bit.
- Mode "bits": the chips alone count, whatever the examples are. The page has two modes that rank so, chips and single
  bits.
- Where no bit is chosen, every distance is 0: all items, in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ibc.errors import input_error
from ibc.retrieval import search

MODES = ("all", "expert", "bits")


@dataclass(frozen=True)
class PageState:
    """A state of the page; the module's text says what its parts mean. number: the class, or None."""

    positive: tuple[int, ...] = ()
    negative: tuple[int, ...] = ()
    mode: str = "all"
    number: int | None = None
    bits: tuple[tuple[int, int], ...] = ()

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> PageState:
        """The state of a dict with the page's own keys; what is missing is empty. Raises InputError for other modes."""
        mode = state.get("mode", "all")
        if mode not in MODES:
            raise input_error("state", f"the mode '{mode}'", " or ".join(MODES))
        return cls(tuple(state.get("positive", ())), tuple(state.get("negative", ())), mode, state.get("class"),
                   tuple((int(bit), int(want)) for bit, want in state.get("bits", ())))


class ViewQuery(NamedTuple):
    """What ``ibc.retrieval.search`` is asked: query (K,) int8 in {-1, 0, +1}; bits: 0-based, where it is not 0."""

    query: np.ndarray
    bits: np.ndarray


class PageRanking(NamedTuple):
    """rows: (top,) int64 item numbers, nearest first. distances: (top,), multiples of 0.5."""

    rows: np.ndarray
    distances: np.ndarray


def view_query(signs: np.ndarray, state: PageState, expert_bits: Sequence[Sequence[int]] | None = None) -> ViewQuery:
    """The query of a state. signs: (N, K) in {-1, 0, +1}. expert_bits: 0-based bits of each class, or None."""
    query = np.zeros(signs.shape[1], np.int8)
    if state.mode != "bits":
        query = _sign_of_examples(signs, state)
        if state.mode == "expert" and state.number is not None and expert_bits is not None:
            expert = np.zeros(len(query), bool)
            expert[list(expert_bits[state.number])] = True
            query[~expert] = 0
    for bit, want in state.bits:
        query[bit] = want
    return ViewQuery(query, np.flatnonzero(query))


def rank(signs: np.ndarray, state: PageState, expert_bits: Sequence[Sequence[int]] | None = None,
         top: int = 100) -> PageRanking:
    """The images of a state, nearest first, as the page shows them; arguments as in ``view_query``."""
    query, bits = view_query(signs, state, expert_bits)
    if not len(bits):
        rows = np.arange(min(top, len(signs)))
        return PageRanking(rows, np.zeros(len(rows)))
    found = search(signs, query[None], bits=bits, top=top)
    return PageRanking(found.rows[0], found.distances[0])


def _sign_of_examples(signs: np.ndarray, state: PageState) -> np.ndarray:
    """(K,) int8: sign of (mean of positive - mean of negative signs), computed in whole numbers."""
    positive = signs[list(state.positive)].astype(np.int64).sum(axis=0)
    negative = signs[list(state.negative)].astype(np.int64).sum(axis=0)
    difference = positive * max(len(state.negative), 1) - negative * max(len(state.positive), 1)
    return np.sign(difference).astype(np.int8)
