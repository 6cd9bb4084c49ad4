"""Customised retrieval: the official results, and a literal slow twin on odd cases."""

from itertools import combinations

import numpy as np
import pytest

from ibc.retrieval.attributes import AttributeData, attribute_maps
from ibc.retrieval.customised import NO_CHOICE, choose, honest, oracle, subset_maps
from tests.retrieval.attribute_data import odd_case, official_data, slow_map


def test_official_customised_results(golden):
    data, groups, results = official_data(golden)
    maps = subset_maps(data, groups)
    best = oracle(data, maps, np.array(results["random_permutation"]) - 1)
    assert np.abs(best.map - results["custom_map_all"]).max() < 1e-12
    for place, wanted in enumerate(results["custom_per_attribute"]):
        for ours, key in ((best.map, "map"), (best.random_map, "best_rand_map"), (best.ones_map, "best_full_1_map"),
                          (best.ones_random_map, "best_full_1_rand_map")):
            assert abs(ours[place] - wanted[key]) < 1e-12
        assert [group + 1 for group in best.subsets[best.choice[place]]] == wanted["best_choice"]
        assert [group + 1 for group in best.subsets[best.choice_ones[place]]] == wanted["best_choice_full1"]


def slow_customised(signs, flags, groups, permutation):
    """The official loop, word by word: strictly greater replaces, from 0."""
    best = {"map": 0.0, "choice": None, "random": 0.0, "ones": 0.0, "choice_ones": None, "ones_random": 0.0}
    ones = np.ones((1, signs.shape[1]), int)
    for size in range(1, len(groups) + 1):
        for subset in combinations(range(len(groups)), size):
            bits = [bit for group in subset for bit in groups[group]]
            value = slow_map(signs[flags], signs, flags, bits)
            if value > best["map"]:
                best |= {"map": value, "choice": subset,
                         "random": slow_map(signs[flags], signs, flags, permutation[: len(bits)])}
            value = slow_map(ones, signs, flags, bits)
            if value > best["ones"]:
                best |= {"ones": value, "choice_ones": subset,
                         "ones_random": slow_map(ones, signs, flags, permutation[: len(bits)])}
    return best


def test_customised_equals_the_literal_twin_on_odd_cases():
    signs, flags, groups, permutation = odd_case()
    data = AttributeData(signs, flags, signs, flags, True)
    best = oracle(data, subset_maps(data, groups), permutation)
    assert best.map[2] == 0 and best.choice[2] == NO_CHOICE and np.isnan(attribute_maps(data)["stable"][2])
    for place in range(4):
        twin = slow_customised(signs, flags[:, place], groups, permutation.tolist())
        for ours, key in ((best.map, "map"), (best.random_map, "random"), (best.ones_map, "ones"),
                          (best.ones_random_map, "ones_random")):
            assert ours[place] == pytest.approx(twin[key], abs=1e-12)
        for ours, key in ((best.choice, "choice"), (best.choice_ones, "choice_ones")):
            assert (None if ours[place] == NO_CHOICE else best.subsets[ours[place]]) == twin[key]


def test_one_attribute_at_a_time_gives_the_same():
    signs, flags, groups, permutation = odd_case()
    data = AttributeData(signs, flags, signs, flags, True)
    together = oracle(data, subset_maps(data, groups), permutation)
    for place in range(4):
        part = data.columns([place])
        alone = oracle(part, subset_maps(part, groups), permutation)
        assert alone.choice[0] == together.choice[place] and alone.random_map[0] == together.random_map[place]


def test_honest_choices_are_made_on_the_other_fold():
    signs, flags, groups, _ = odd_case()
    data = AttributeData(signs, flags, signs, flags, True)
    first, second = data.halves(3)
    assert len(first.query_signs) + len(second.query_signs) == 60
    maps = [subset_maps(half, groups) for half in (first, second)]
    judged = honest([(maps[0], maps[1]), (maps[1], maps[0])])
    for place in (0, 1, 3):
        picked = [maps[here].real[maps[1 - here].real[:, place].argmax(), place] for here in (1, 0)]
        assert judged.map[place] == pytest.approx(np.mean(picked))
        assert judged.map[place] <= judged.oracle_map[place] + 1e-15
    assert np.isnan(judged.map[2]) and judged.choices[0][2] == NO_CHOICE


def test_the_first_of_equal_subsets_is_chosen():
    assert choose(np.array([[0.2, 0, np.nan], [0.5, 0, np.nan], [0.5, 0, np.nan]])).tolist() == [1, -1, -1]
