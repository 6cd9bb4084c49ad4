"""A search whose results say why they are there: the bits that agree with the query, and those that do not.

A query, a choice of bits and a database flow in; a ``Ranked`` flows out, with the words of its bits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ibc.retrieval.bit_choice import ChosenBits
from ibc.retrieval.bit_names import BitName
from ibc.retrieval.engine.device import Device
from ibc.retrieval.index import CodeIndex, search
from ibc.retrieval.shared_bits import SharedBit, shared_by_rows
from ibc.retrieval.wishes import Query, check_query

LONGEST = 4  # names in a cell of a table


@dataclass(frozen=True)
class Hit:
    """One result. row: in the database, from 0. agree, differ: chosen bits (from 0) with the query's value, and with
    the other one; an undecided bit is in neither.
    """

    rank: int
    row: int
    distance: float
    agree: list[int]
    differ: list[int]


@dataclass(frozen=True)
class Ranked:
    """One ranking of the database. used: the chosen bits that count. total: sum of their weights, the largest distance.

    whole: every distance is a whole number. shared: the bits that the results have more often than the other images.
    """

    choice: ChosenBits
    query: Query
    used: np.ndarray
    total: float
    whole: bool
    hits: list[Hit]
    shared: list[SharedBit]


def explained_search(db_signs: np.ndarray, query: Query, choice: ChosenBits, top: int, left_out: Sequence[int] = (),
                     device: Device = "cpu", index: CodeIndex | None = None) -> Ranked:
    """The ``top`` nearest images by the chosen bits; those of the rows ``left_out`` (the examples) do not appear.

    db_signs: (D, K) signs. index: of them, where several searches follow. Exact; images at equal distance in database
    order. Raises InputError where no chosen bit counts.
    """
    check_query(query, choice.bits)
    used = query.on(choice.bits)
    query = replace(query, weights=summable(query.weights))
    plain = bool((query.weights[used] == 1).all())
    weights = None if plain else query.weights
    found = search(db_signs if index is None else index, query.signs[None], bits=used, weights=weights,
                   top=top + len(left_out), device=device)
    apart = set(left_out)
    pairs = [(row, distance) for row, distance in zip(found.rows[0].tolist(), found.distances[0].tolist(), strict=True)
             if row not in apart][:top]
    hits = []
    for rank, (row, distance) in enumerate(pairs, 1):
        product = db_signs[row, used] * query.signs[used]
        hits.append(Hit(rank, row, distance, used[product > 0].tolist(), used[product < 0].tolist()))
    rows = np.array([hit.row for hit in hits], np.int64)
    shared = shared_by_rows(db_signs, rows) if 0 < len(rows) < len(db_signs) else []
    return Ranked(choice, query, used, float(query.weights[used].sum()), plain and bool(db_signs.all()), hits, shared)


def summable(weights: np.ndarray) -> np.ndarray:
    """The weights, rounded to 30 binary digits of the largest one: their sums are then exact in any order.

    Without it the last digit of a sum depends on the order of its terms, and images at equal distance would not be in
    database order.
    """
    largest = float(weights.max(initial=0))
    if not largest:
        return weights
    step = 2.0 ** (math.frexp(largest)[1] - 30)
    return np.asarray(np.round(weights / step) * step)


def bit_word(bit: int, names: dict[int, BitName]) -> str:
    """What a bit is called: its concept, or "bit 12"."""
    return names[bit].concept if bit in names else f"bit {bit + 1}"


def agreement(hit: Hit, ranked: Ranked, longest: int | None = LONGEST) -> tuple[str, str]:
    """(agreeing bits, differing bits) of a result in words; at most ``longest`` different names each (None: all).

    "sea ×3": three bits of this concept. Of the differing ones, "+sea" is 1 where the query has 0, "−sea" is 0 where
    it has 1.
    """
    signs, names = ranked.query.signs, ranked.choice.names
    agree = [bit_word(bit, names) for bit in hit.agree]
    differ = [("−" if signs[bit] > 0 else "+") + bit_word(bit, names) for bit in hit.differ]
    return counted(agree, longest), counted(differ, longest)


def counted(words: Sequence[str], longest: int | None = None) -> str:
    """Words with commas between them, equal ones as "sea ×3"; beyond ``longest`` different ones "+5" says how many."""
    counts = Counter(words)
    shown = list(counts.items())[:longest]
    text = ", ".join(word if count == 1 else f"{word} ×{count}" for word, count in shown)
    rest = len(words) - sum(count for _, count in shown)
    return f"{text} +{rest}" if rest else text


def distance_text(distance: float, whole: bool) -> str:
    """A distance as people read it: a whole number, or three digits."""
    return str(int(distance)) if whole or float(distance).is_integer() else f"{distance:.3g}"
