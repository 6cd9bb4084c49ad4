"""Customised retrieval: rank by the subset of bit groups that serves an attribute best.

Attribute data and bit groups flow in; a ``Customised`` flows out. Every non-empty subset of the groups is tried. The
subset that is best on the evaluation data itself is an oracle (the official figure). The honest figure takes the subset
that is best on other data. Beside them: as many random bits, and as query the code of ones instead of real images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ibc.errors import input_error
from ibc.retrieval.attributes import AttributeData, attribute_maps, full_ones_maps
from ibc.retrieval.bits import random_bits

MOST_GROUPS = 12  # 4095 subsets
NO_CHOICE = -1  # in place of a subset's number


def _nothing(count: int) -> None:
    """For callers that do not show progress."""


@dataclass
class SubsetMaps:
    """Customised retrieval with each of S subsets of the groups, in the official order (by size, then lexicographic).

    subsets: S tuples of 0-based group numbers. bits: S lists of 0-based bits.
    real, ones: (S, A) mAP (stable order) of the real queries and of the code of ones; NaN for an attribute nobody has.
    """

    subsets: list[tuple[int, ...]]
    bits: list[np.ndarray]
    real: np.ndarray
    ones: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """(S,) number of bits of each subset."""
        return np.array([len(bits) for bits in self.bits])

    def groups(self, choice: int) -> tuple[int, ...]:
        """The 0-based groups of a chosen subset; none for NO_CHOICE."""
        return () if choice == NO_CHOICE else self.subsets[choice]


def subset_maps(data: AttributeData, groups: Sequence[Sequence[int] | np.ndarray],
                done: Callable[[int], None] = _nothing) -> SubsetMaps:
    """Rank with every non-empty subset of ``groups``, lists of 0-based bits; ``done(1)`` is called for each subset."""
    subsets = [subset for size in range(1, len(groups) + 1) for subset in combinations(range(len(groups)), size)]
    bits = [np.concatenate([np.asarray(groups[group], np.int64) for group in subset]) for subset in subsets]
    real, ones = np.empty((2, len(subsets), data.attributes))
    for row, chosen in enumerate(bits):
        part = data.on_bits(chosen)
        real[row], ones[row] = attribute_maps(part)["stable"], full_ones_maps(part)
        done(1)
    return SubsetMaps(subsets, bits, real, ones)


def choose(maps: np.ndarray) -> np.ndarray:
    """(A,) number of the first subset with the largest of the (S, A) maps.

    NO_CHOICE where no map is above 0: the official program starts from 0.
    """
    values = np.nan_to_num(maps)
    return np.where(values.max(axis=0) > 0, values.argmax(axis=0), NO_CHOICE)


def at_choice(maps: np.ndarray, choice: np.ndarray, without: float = np.nan) -> np.ndarray:
    """(A,) the (S, A) maps at the chosen subsets; ``without`` where there is no choice."""
    return np.where(choice == NO_CHOICE, without, maps[choice, np.arange(maps.shape[1])])


@dataclass
class Oracle:
    """Official customised retrieval of A attributes: subsets chosen on the evaluation data itself.

    subsets: as in ``SubsetMaps``. choice, choice_ones: (A,) numbers of subsets, for real queries and for the code of
    ones, or NO_CHOICE. map, random_map, ones_map, ones_random_map: (A,) mAP with the chosen bits, and with as many bits
    of one permutation; 0 without a choice.
    """

    subsets: list[tuple[int, ...]]
    choice: np.ndarray
    choice_ones: np.ndarray
    map: np.ndarray
    random_map: np.ndarray
    ones_map: np.ndarray
    ones_random_map: np.ndarray


def oracle(data: AttributeData, maps: SubsetMaps, permutation: np.ndarray) -> Oracle:
    """Choose the best subsets, and rank beside them with the first bits of ``permutation`` (K bits, 0-based).

    A subset with more bits than K (bits in several groups) is compared with all K bits.
    """
    choice, choice_ones = choose(maps.real), choose(maps.ones)
    random_map, ones_random_map = random_maps(data, maps.lengths, choice, choice_ones, permutation)
    return Oracle(maps.subsets, choice, choice_ones, at_choice(maps.real, choice, 0), random_map,
                  at_choice(maps.ones, choice_ones, 0), ones_random_map)


def random_maps(data: AttributeData, lengths: np.ndarray, choice: np.ndarray, choice_ones: np.ndarray,
                permutation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(A,) mAP of real queries, and of the code of ones, on as many bits of ``permutation`` as each choice has."""
    def real(part: AttributeData, count: int) -> np.ndarray:
        return attribute_maps(part.on_bits(permutation[:count]))["stable"]

    def ones(part: AttributeData, count: int) -> np.ndarray:
        return full_ones_maps(part.on_bits(permutation[:count]))

    return _by_length(data, lengths, choice, real), _by_length(data, lengths, choice_ones, ones)


def _by_length(data: AttributeData, lengths: np.ndarray, choice: np.ndarray,
               rank: Callable[[AttributeData, int], np.ndarray]) -> np.ndarray:
    """(A,) ``rank(attributes, n)`` of the attributes whose choice has n bits, for each n; 0 without a choice."""
    values = np.zeros(data.attributes)
    for count in np.unique(lengths[choice[choice != NO_CHOICE]]):
        columns = np.flatnonzero((choice != NO_CHOICE) & (lengths[choice] == count))
        values[columns] = rank(data.columns(columns), int(count))
    return values


@dataclass
class Honest:
    """Subsets judged on other data than they were chosen on; A attributes.

    choices: one (A,) array of subset numbers a fold. map, ones_map: (A,) means over the folds, NaN where no choice
    could be made. oracle_map, oracle_ones_map: (A,) of the same folds, with the subset that is best on the fold itself.
    """

    choices: list[np.ndarray]
    map: np.ndarray
    ones_map: np.ndarray
    oracle_map: np.ndarray
    oracle_ones_map: np.ndarray


def honest(folds: Sequence[tuple[SubsetMaps, SubsetMaps]]) -> Honest:
    """Judge on the second of each pair the subsets that are best on the first."""
    def judge(pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        return np.mean([at_choice(maps, choose(chosen_on)) for chosen_on, maps in pairs], axis=0)

    real = [(other.real, here.real) for other, here in folds]
    ones = [(other.ones, here.ones) for other, here in folds]
    own_real, own_ones = [(maps, maps) for _, maps in real], [(maps, maps) for _, maps in ones]
    return Honest([choose(other.real) for other, _ in folds], judge(real), judge(ones), judge(own_real),
                  judge(own_ones))


@dataclass
class Customised:
    """Customised retrieval of A attributes. maps: every subset's mAP. oracle, honest: what choosing gives.

    random, random_ones: (draws, A) mAP of real queries and of the code of ones, on as many random bits as the oracle's
    choices have. halves: the honest choice was made on the other half of the data, not on a file of its own.
    """

    maps: SubsetMaps
    oracle: Oracle
    honest: Honest
    random: np.ndarray
    random_ones: np.ndarray
    halves: bool


def custom_steps(groups: int, draws: int, halves: bool) -> int:
    """How often ``customise`` calls ``done``."""
    return (2 ** groups - 1) * (3 if halves else 2) + draws


def customise(data: AttributeData, groups: Sequence[np.ndarray], other: AttributeData | None, draws: int, seed: int,
              done: Callable[[int], None] = _nothing) -> Customised:
    """Customised retrieval of all attributes of ``data``, with honest choices from ``other``, or from halves of it.

    groups: lists of 0-based bits, at most MOST_GROUPS (InputError). draws: of random bits. seed: of them and of the
    halves.
    """
    if len(groups) > MOST_GROUPS:
        raise input_error("--groups", f"{len(groups)} groups", f"at most {MOST_GROUPS}: every subset is tried")
    length = data.query_signs.shape[1]
    maps = subset_maps(data, groups, done)
    sets = random_bits(length, length, draws, seed)
    best = oracle(data, maps, sets[0])
    drawn = []
    for permutation in sets:
        drawn.append(random_maps(data, maps.lengths, best.choice, best.choice_ones, permutation))
        done(1)
    random, random_ones = np.array(drawn).transpose(1, 0, 2)
    if other is None:
        first, second = (subset_maps(half, groups, done) for half in data.halves(seed))
        judged = honest([(first, second), (second, first)])
    else:
        judged = honest([(subset_maps(other, groups, done), maps)])
    return Customised(maps, best, judged, random, random_ones, halves=other is None)
