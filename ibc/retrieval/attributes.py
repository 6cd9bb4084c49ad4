"""Attribute retrieval, and customised retrieval by subsets of bit groups.

Signs and attribute flags flow in; mAP per attribute flows out. The queries of an attribute are the
items that have it (value exactly 1), relevant are the items of the database that have it; 2 (missing)
is not 1. The query counts as a hit (official). Customised: every non-empty subset of the groups is
tried, and the best one is chosen; on the evaluation data that is an oracle, on other data honest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from ibc.labels import Labels
from ibc.retrieval.average_precision import ORDERS, RetrievalScores, retrieval_scores

NO_CHOICE = -1


@dataclass
class Data:
    """Queries and database of one evaluation over A attributes.

    query_signs (Q, K), db_signs (D, K): int8. query_flags (Q, A), db_flags (D, A): bool, has the attribute.
    same: the queries are the database.
    """

    query_signs: np.ndarray
    query_flags: np.ndarray
    db_signs: np.ndarray
    db_flags: np.ndarray
    same: bool
    device: Any = "cpu"

    @property
    def attributes(self) -> int:
        return self.db_flags.shape[1]

    def columns(self, chosen: Sequence[int] | np.ndarray) -> Data:
        """The same items with the chosen attributes only."""
        return Data(self.query_signs, self.query_flags[:, chosen], self.db_signs, self.db_flags[:, chosen], self.same,
                    self.device)

    def halves(self, seed: int) -> tuple[Data, Data]:
        """Two halves of the items, drawn from ``seed``; of a separate database each half gets a half too."""
        random = np.random.default_rng(seed)
        queries = np.array_split(random.permutation(len(self.query_signs)), 2)
        items = queries if self.same else np.array_split(random.permutation(len(self.db_signs)), 2)
        first, second = (Data(self.query_signs[q], self.query_flags[q], self.db_signs[d], self.db_flags[d], self.same,
                              self.device) for q, d in zip(map(np.sort, queries), map(np.sort, items), strict=True))
        return first, second

    def on_bits(self, bits: np.ndarray) -> Data:
        """The same items with the bits of a list, which may name one twice: it then counts twice."""
        return Data(self.query_signs[:, bits], self.query_flags, self.db_signs[:, bits], self.db_flags, self.same,
                    self.device)


def attribute_maps(data: Data, self_match: str | None = "hit") -> dict[str, np.ndarray]:
    """Tie rule ("stable", "expected", "pessimistic", "optimistic") -> (A,) mAP, NaN for an attribute nobody has.

    self_match is "hit" (official), "exclude" or "keep" where the queries are the database.
    """
    columns, rows = np.nonzero(data.query_flags.T)  # a ranking for each attribute of each query, attribute by attribute
    scores = _scores(data, data.query_signs[rows], columns, self_match if data.same else None, rows)
    return {order: _means(scores.average_precision(order), columns, data.attributes) for order in ORDERS}


def full_ones_maps(data: Data) -> np.ndarray:
    """(A,) average precision (stable order) of one made-up query, the code of ones; NaN for an attribute nobody has."""
    ones = np.ones((data.attributes, data.query_signs.shape[1]), np.int8)
    columns = np.arange(data.attributes)
    values = _scores(data, ones, columns, None, None).average_precision()
    return np.where(data.db_flags.any(axis=0), values, np.nan)


def _scores(data: Data, signs: np.ndarray, columns: np.ndarray, self_match: str | None,
            rows: np.ndarray | None) -> RetrievalScores:
    if data.attributes == 1:  # one number an item is quicker to compare than a set
        labels, db_labels = np.ones(len(columns), np.int32), data.db_flags[:, 0].astype(np.int32)
    else:
        labels, db_labels = np.zeros((len(columns), data.attributes), bool), data.db_flags
        labels[np.arange(len(columns)), columns] = True
    return retrieval_scores(signs, Labels(labels), data.db_signs, Labels(db_labels), self_match=self_match,
                            device=data.device, query_index=rows if self_match else None)


def _means(values: np.ndarray, columns: np.ndarray, count: int) -> np.ndarray:
    queries = np.bincount(columns, minlength=count)
    with np.errstate(invalid="ignore"):
        return np.bincount(columns, values, count) / queries


@dataclass
class SubsetMaps:
    """Customised retrieval with every subset of the groups, in the official order (by size, then lexicographic).

    subsets: S tuples of 0-based group numbers. bits: S bit lists. real, ones: (S, A) mAP (stable order) of the real
    queries and of the code of ones; NaN for an attribute nobody has.
    """

    subsets: list[tuple[int, ...]]
    bits: list[np.ndarray]
    real: np.ndarray
    ones: np.ndarray


def subset_maps(data: Data, groups: Sequence[Any], done: Callable[[int], None] = lambda count: None) -> SubsetMaps:
    """Rank with every non-empty subset of ``groups`` (0-based bit lists); ``done`` hears of each subset."""
    subsets = [subset for size in range(1, len(groups) + 1) for subset in combinations(range(len(groups)), size)]
    bits = [np.concatenate([np.asarray(groups[group], np.int64) for group in subset]) for subset in subsets]
    real, ones = np.empty((2, len(subsets), data.attributes))
    for row, chosen in enumerate(bits):
        part = data.on_bits(chosen)
        real[row], ones[row] = attribute_maps(part)["stable"], full_ones_maps(part)
        done(1)
    return SubsetMaps(subsets, bits, real, ones)


def choose(maps: np.ndarray) -> np.ndarray:
    """(A,) first subset with the largest of (S, A) maps; NO_CHOICE where none is above 0, the official start."""
    values = np.nan_to_num(maps)
    return np.where(values.max(axis=0) > 0, values.argmax(axis=0), NO_CHOICE)


def at_choice(maps: np.ndarray, choice: np.ndarray, without: float = np.nan) -> np.ndarray:
    """(A,) the (S, A) maps at the chosen subsets; ``without`` where there is no choice."""
    return np.where(choice == NO_CHOICE, without, maps[choice, np.arange(maps.shape[1])])


@dataclass
class Oracle:
    """Official customised retrieval of A attributes: subsets chosen on the evaluation data itself.

    choice, choice_ones: (A,) places in ``subsets``, for real queries and for the code of ones, or NO_CHOICE.
    map, random_map, ones_map, ones_random_map: (A,) mAP with the chosen bits, and with as many bits from one
    permutation; 0 without a choice.
    """

    subsets: list[tuple[int, ...]]
    choice: np.ndarray
    choice_ones: np.ndarray
    map: np.ndarray
    random_map: np.ndarray
    ones_map: np.ndarray
    ones_random_map: np.ndarray


def oracle(data: Data, maps: SubsetMaps, permutation: np.ndarray) -> Oracle:
    """Choose the best subsets, and rank with the first bits of ``permutation`` (0-based, K bits) beside them.

    A subset with more places than K (bits in several groups) is compared with all K bits.
    """
    choice, choice_ones = choose(maps.real), choose(maps.ones)
    lengths = np.array([len(bits) for bits in maps.bits])
    random_map, ones_random_map = random_maps(data, lengths, choice, choice_ones, permutation)
    return Oracle(maps.subsets, choice, choice_ones, at_choice(maps.real, choice, 0), random_map,
                  at_choice(maps.ones, choice_ones, 0), ones_random_map)


def random_maps(data: Data, lengths: np.ndarray, choice: np.ndarray, choice_ones: np.ndarray,
                permutation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(A,) mAP of real queries, and of the code of ones, on as many bits of ``permutation`` as each choice has."""
    def real(part: Data, count: int) -> np.ndarray:
        return attribute_maps(part.on_bits(permutation[:count]))["stable"]

    def ones(part: Data, count: int) -> np.ndarray:
        return full_ones_maps(part.on_bits(permutation[:count]))

    return _by_length(data, lengths, choice, real), _by_length(data, lengths, choice_ones, ones)


def _by_length(data: Data, lengths: np.ndarray, choice: np.ndarray,
               rank: Callable[[Data, int], np.ndarray]) -> np.ndarray:
    """(A,) ``rank(attributes, n)`` for the attributes whose choice has n bits, n by n; 0 without a choice."""
    values = np.zeros(data.attributes)
    for count in np.unique(lengths[choice[choice != NO_CHOICE]]):
        columns = np.flatnonzero((choice != NO_CHOICE) & (lengths[choice] == count))
        values[columns] = rank(data.columns(columns), int(count))
    return values


@dataclass
class Honest:
    """Subsets chosen on other data than they are judged on.

    choices: per fold (A,) places in the subsets. map, ones_map: (A,) means over the folds, NaN where no choice could
    be made. oracle_map, oracle_ones_map: (A,) of the same folds with the subset that is best on the fold itself.
    """

    choices: list[np.ndarray]
    map: np.ndarray
    ones_map: np.ndarray
    oracle_map: np.ndarray
    oracle_ones_map: np.ndarray


def honest(folds: Sequence[tuple[SubsetMaps, SubsetMaps]]) -> Honest:
    """Judge on the second of each pair the subsets chosen on the first."""
    def judge(kind: str, own: bool) -> np.ndarray:
        return np.mean([at_choice(getattr(here, kind), choose(getattr(here if own else other, kind)))
                        for other, here in folds], axis=0)

    return Honest([choose(other.real) for other, _ in folds], judge("real", False), judge("ones", False),
                  judge("real", True), judge("ones", True))
