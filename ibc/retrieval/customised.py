"""Customised retrieval as the evaluation commands show it: oracle, honest, random bits, code of ones.

Attribute data and bit groups flow in; a ``Customised`` with its table and its metrics flows out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ibc.errors import input_error
from ibc.report.tables import columns, number
from ibc.retrieval.attributes import (
    NO_CHOICE,
    Data,
    Honest,
    Oracle,
    SubsetMaps,
    honest,
    oracle,
    random_maps,
    subset_maps,
)
from ibc.retrieval.bits import random_bits

MOST_GROUPS = 12  # 4095 subsets


@dataclass
class Customised:
    """A attributes. maps: every subset's mAP. oracle, honest: what choosing gives.

    random, random_ones: (draws, A) mAP with as many random bits as the oracle's choices have.
    halves: the honest choice was made on the other half of the data, not on a file of its own.
    """

    maps: SubsetMaps
    oracle: Oracle
    honest: Honest
    random: np.ndarray
    random_ones: np.ndarray
    halves: bool

    def lines(self, names: Sequence[str], group_names: Sequence[str], group_bits: Sequence[np.ndarray],
              queries: str) -> list[str]:
        """A block an attribute, after the groups. queries: how they stand in their ranking."""
        lines = ["", f"customised retrieval, {len(self.maps.subsets)} subsets of {len(group_names)} bit groups "
                     f"(bits from 1; {queries}, database order):"]
        lines += [f"  {name}: {', '.join(str(bit + 1) for bit in bits)}"
                  for name, bits in zip(group_names, group_bits, strict=True)]
        for place, name in enumerate(names):
            lines += ["", *columns(list(self._cells(place, name, group_names)))]
        return lines

    def _cells(self, place: int, name: str, group_names: Sequence[str]) -> Iterator[Sequence[str]]:
        best, judged = self.oracle, self.honest
        yield name, "real queries", "code of ones"
        if np.isnan(self.maps.real[:, place]).all():
            yield "no image has it", "", ""
            return
        chosen = (number(judged.map[place]), number(judged.ones_map[place]))
        yield ("oracle: groups chosen on this data", *(
            f"{number(value[place])} ({self._words(choice[place], group_names)})"
            for value, choice in ((best.map, best.choice), (best.ones_map, best.choice_ones))))
        if not self.halves:
            yield "honest: chosen on the --choose_on file", *chosen
        yield "all groups, nothing chosen", number(self.maps.real[-1, place]), number(self.maps.ones[-1, place])
        yield "as many bits, one permutation", number(best.random_map[place]), number(best.ones_random_map[place])
        yield (f"as many bits, {len(self.random)} draws", *(
            f"{number(draws[:, place].mean())} ± {draws[:, place].std(ddof=1):.4f}"
            for draws in (self.random, self.random_ones)))
        if self.halves:
            yield "halves of the data, each its own database:", "", ""
            yield "  honest: chosen on the other half", *chosen
            yield "  oracle: chosen on the half itself", *(number(value[place]) for value in (
                judged.oracle_map, judged.oracle_ones_map))

    def _words(self, choice: int, group_names: Sequence[str]) -> str:
        return "none" if choice == NO_CHOICE else " + ".join(group_names[group] for group in self._subset(choice))

    def _subset(self, choice: int) -> tuple[int, ...]:
        return () if choice == NO_CHOICE else self.maps.subsets[choice]

    def metrics(self, columns_: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
        """Golden names: numbers of attributes and groups from 1; beside them 0-based ones under ``..._index``."""
        best = self.oracle
        per_attribute = []
        for place, column in enumerate(columns_):
            per_attribute.append({
                "attribute": column + 1, "attribute_index": column, "name": names[column],
                "map": best.map[place], "best_rand_map": best.random_map[place],
                "best_full_1_map": best.ones_map[place], "best_full_1_rand_map": best.ones_random_map[place],
                **self._choice("best_choice", best.choice[place]),
                **self._choice("best_choice_full1", best.choice_ones[place]),
                "random_map": self.random[:, place].mean(),
                "random_map_deviation": self.random[:, place].std(ddof=1),
                "random_full_1_map": self.random_ones[:, place].mean(),
                "random_full_1_map_deviation": self.random_ones[:, place].std(ddof=1),
                "all_groups_map": self.maps.real[-1, place], "all_groups_full_1_map": self.maps.ones[-1, place],
                "honest_map": self.honest.map[place], "honest_full_1_map": self.honest.ones_map[place],
                "honest_choices_index": [list(self._subset(choice[place])) for choice in self.honest.choices],
                "oracle_map_on_honest_data": self.honest.oracle_map[place],
                "oracle_full_1_map_on_honest_data": self.honest.oracle_ones_map[place],
            })
        return {"custom_map_all": best.map, "custom_map_honest": self.honest.map,
                "custom_per_attribute": per_attribute}

    def _choice(self, name: str, choice: int) -> dict[str, list[int]]:
        groups = self._subset(choice)
        return {name: [group + 1 for group in groups], f"{name}_index": list(groups)}


def custom_steps(groups: int, draws: int, halves: bool) -> int:
    """How often ``customise`` says that something is done."""
    return (2 ** groups - 1) * (3 if halves else 2) + draws


def customise(data: Data, groups: Sequence[np.ndarray], other: Data | None, draws: int, seed: int,
              done: Callable[[int], None] = lambda count: None) -> Customised:
    """Customised retrieval of all attributes of ``data``; honest choices from ``other``, or from the other half."""
    if len(groups) > MOST_GROUPS:
        raise input_error("--groups", f"{len(groups)} groups", f"at most {MOST_GROUPS}: every subset is tried")
    length = data.query_signs.shape[1]
    maps = subset_maps(data, groups, done)
    sets = random_bits(length, length, draws, seed)
    best = oracle(data, maps, sets[0])
    lengths = np.array([len(bits) for bits in maps.bits])
    drawn = []
    for permutation in sets:
        drawn.append(random_maps(data, lengths, best.choice, best.choice_ones, permutation))
        done(1)
    random, random_ones = np.array(drawn).transpose(1, 0, 2)
    if other is None:
        first, second = (subset_maps(half, groups, done) for half in data.halves(seed))
        judged = honest([(first, second), (second, first)])
    else:
        judged = honest([(subset_maps(other, groups, done), maps)])
    return Customised(maps, best, judged, random, random_ones, halves=other is None)
