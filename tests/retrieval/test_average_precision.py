"""Rankings: equal to the official results, to a slow twin, and to brute force over all tie orders."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibc.codes import load_codes
from ibc.errors import InputError
from ibc.labels import NO_CATEGORY
from ibc.retrieval.average_precision import ORDERS, mean_average_precision, retrieval_scores
from tests.retrieval.slow_ranking import all_orders, average_precision, random_case, ranked_relevance


@pytest.fixture(scope="module")
def official(golden):
    return load_codes(golden / "eval_main_inputs.mat"), json.loads((golden / "eval_main_results.json").read_text())


@pytest.mark.parametrize(("key", "self_match"), [("category_map", "keep"), ("category_map_self_counted", "hit")])
def test_official_category_map(official, key, self_match):
    codes, results = official
    score = mean_average_precision(codes.bits, codes.categories, codes.bits, codes.categories, self_match=self_match,
                                   ties="stable", at=None, device="cpu")
    assert abs(score - results[key]) < 1e-12


def test_official_top100_counts(official):
    codes, results = official
    scores = retrieval_scores(codes.bits, codes.categories, codes.bits, codes.categories, self_match="keep",
                              points=(100,))
    assert scores.hits["stable"][:, 0].tolist() == results["category_top100_counts"]


cases = st.builds(random_case, seed=st.integers(0, 10**6), queries=st.integers(1, 3), items=st.integers(1, 6),
                  bits=st.integers(1, 3), classes=st.integers(1, 3), zeros=st.sampled_from([0.0, 0.3]))


@settings(max_examples=150, deadline=None)
@given(case=cases, at=st.sampled_from([None, 1, 2, 4]), divisor=st.sampled_from(["relevant", "min"]))
def test_ties_against_brute_force_over_all_orders(case, at, divisor):
    query_bits, query_labels, db_bits, db_labels = case
    score = mean_average_precision(*case, ties="bounds", at=at, divisor=divisor)
    sums = {order: Fraction(0) for order in ORDERS}
    for query, label in zip(query_bits, query_labels, strict=True):
        distances, relevance = ranked_relevance(query, label, db_bits, db_labels)
        values = [average_precision(order, at, divisor) for order in all_orders(distances, relevance)]
        sums["stable"] += average_precision(relevance, at, divisor)
        sums["expected"] += sum(values) / len(values)
        sums["pessimistic"] += min(values)
        sums["optimistic"] += max(values)
    for order in ORDERS:
        assert abs(getattr(score, order) - sums[order] / len(query_bits)) < 1e-12


@settings(max_examples=150, deadline=None)
@given(case=cases, at=st.sampled_from([None, 1, 2, 4]))
def test_precision_of_found_against_brute_force_over_all_orders(case, at):
    query_bits, query_labels, db_bits, db_labels = case
    total = Fraction(0)
    for query, label in zip(query_bits, query_labels, strict=True):
        values = [average_precision(order, at, "found")
                  for order in all_orders(*ranked_relevance(query, label, db_bits, db_labels))]
        total += sum(values) / len(values)
    found = retrieval_scores(*case, at=(None, at)).mean_precision_of_found(at)
    assert abs(found - total / len(query_bits)) < 1e-12


def test_precision_of_found_where_the_cutoff_rank_divides_a_large_group():
    """900 equal codes, 90 of them relevant, behind 20 nearer ones with 5: every number that may be found counts."""
    near, group, cutoff = (20, 5), (900, 90), 300
    items = np.array([1] * near[0] + [-1] * group[0])[:, None]
    labels = np.array([0] * near[1] + [1] * (near[0] - near[1]) + [0] * group[1] + [1] * (group[0] - group[1]))
    places = cutoff - near[0]
    total = sum(Fraction(near[1], near[0]) * (1 + Fraction((p - 1) * (near[1] - 1), near[0] - 1)) / p
                for p in range(1, near[0] + 1))
    expected = Fraction(0)
    for x in range(group[1] + 1):
        chance = Fraction(math.comb(group[1], x) * math.comb(group[0] - group[1], places - x),
                          math.comb(group[0], places))
        own = sum(Fraction(x, places) * (near[1] + 1 + Fraction((p - 1) * (x - 1), places - 1)) / (near[0] + p)
                  for p in range(1, places + 1))
        expected += chance * (total + own) / (near[1] + x)
    scores = retrieval_scores(np.ones((1, 1)), np.array([0]), items, labels, at=(cutoff,))
    assert scores.mean_precision_of_found(cutoff) == pytest.approx(float(expected), rel=1e-10)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), self_match=st.sampled_from(["keep", "exclude", "hit"]),
       bits=st.sampled_from([1, 5, 64, 70, 300]), zeros=st.sampled_from([0.0, 0.1]), at=st.sampled_from([None, 3, 25]))
def test_bounds_are_ordered_and_self_treatments_match_the_slow_twin(seed, self_match, bits, zeros, at):
    signs, labels, _, _ = random_case(seed, 30, 1, bits, 4, zeros)
    score = mean_average_precision(signs, labels, signs, labels, self_match=self_match, ties="bounds", at=at)
    assert score.pessimistic <= score.expected <= score.optimistic
    assert score.pessimistic <= score.stable <= score.optimistic
    twins = [average_precision(ranked_relevance(signs[i], labels[i], signs, labels, i, self_match)[1], at)
             for i in range(30)]
    stable = mean_average_precision(signs, labels, signs, labels, self_match=self_match, at=at)
    assert np.allclose(stable.per_query, np.array(twins, float), rtol=0, atol=1e-13)
    assert score == score.expected and stable == stable.stable == score.stable


def test_expected_value_is_exact_far_down_a_long_ranking():
    items, relevant = 60_000, [59_990, 59_995]  # two relevant items in a tie group of ten at the very end
    db = np.ones((items, 5), np.int8)
    for step, first in enumerate(range(0, items, 12_000)):
        db[first:, :step] = -1
    db[59_980:] = -1
    labels = np.zeros(items)
    labels[relevant] = 1
    score = mean_average_precision(np.ones((1, 5), np.int8), [1], db, labels, ties="bounds")
    group, before = 20, 59_980
    expected = sum(Fraction(2, group) * (1 + Fraction(p - 1, group - 1)) / (before + p) for p in range(1, group + 1))
    assert score.expected == pytest.approx(float(expected / 2), rel=1e-11)
    assert score.optimistic == pytest.approx((1 / (before + 1) + 2 / (before + 2)) / 2, rel=1e-11)
    assert score.pessimistic == pytest.approx((1 / (before + 19) + 2 / (before + 20)) / 2, rel=1e-11)


def test_several_labels_are_relevant_where_one_is_shared():
    random = np.random.default_rng(3)
    signs, flags = random.choice([-1, 1], (40, 8)), (random.random((40, 70)) < 0.02).astype(int)
    flags[random.random((40, 70)) < 0.01] = 2  # missing: not a label
    sets = [frozenset(np.flatnonzero(row == 1)) for row in flags]
    score = mean_average_precision(signs, flags, signs, flags, self_match="keep")
    twins = [average_precision(ranked_relevance(signs[i], sets[i], signs, sets, i, "keep")[1]) for i in range(40)]
    assert np.allclose(score.per_query, np.array(twins, float), rtol=0, atol=1e-13)
    assert 0 < score < 1


def test_no_category_is_one_more_class():
    signs, labels = np.array([[1], [1], [-1]]), np.array([NO_CATEGORY, 0, NO_CATEGORY])
    assert mean_average_precision(signs, labels, signs, labels, self_match="exclude").per_query.tolist() == [0.5, 0, 1]


def test_precision_recall_and_radius_against_the_slow_twin():
    query_bits, query_labels, db_bits, db_labels = random_case(5, 12, 50, 6, 3)
    scores = retrieval_scores(query_bits, query_labels, db_bits, db_labels, points=(1, 7, 80))
    distance = (query_bits[:, None] != db_bits).sum(axis=2)
    relevant = query_labels[:, None] == db_labels
    for point in (1, 7, 80):
        order = np.argsort(distance, axis=1, kind="stable")[:, :point]
        hits = np.take_along_axis(relevant, order, 1).sum(axis=1)
        assert scores.precision(point) == pytest.approx((hits / point).mean(), abs=1e-14)
        assert scores.recall(point) == pytest.approx((hits / relevant.sum(axis=1)).mean(), abs=1e-14)
    assert scores.recall(80, "expected") == 1
    precision, recall = scores.precision_recall_curve()
    assert scores.radius.tolist() == list(range(7))
    for radius in range(7):
        inside = distance <= radius
        assert scores.pairs[radius] == inside.sum()
        assert recall[radius] == pytest.approx((inside & relevant).sum() / relevant.sum())
        if inside.any():
            assert precision[radius] == pytest.approx((inside & relevant).sum() / inside.sum())
        each = (inside & relevant).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
        assert scores.precision_within[radius] == pytest.approx(each.mean())


def test_expected_hits_against_all_orders():
    query_bits, query_labels, db_bits, db_labels = random_case(8, 2, 7, 2, 2)
    scores = retrieval_scores(query_bits, query_labels, db_bits, db_labels, points=(3,))
    for query, label, value in zip(query_bits, query_labels, scores.hits["expected"][:, 0], strict=True):
        orders = all_orders(*ranked_relevance(query, label, db_bits, db_labels))
        assert value == pytest.approx(sum(sum(order[:3]) for order in orders) / len(orders), abs=1e-13)


def test_zeros_count_half_a_step_of_the_radius():
    scores = retrieval_scores([[1, 1]], [0], np.array([[1, 1], [1, 0], [0, 0], [-1, -1]]), [0, 0, 1, 0])
    assert scores.radius.tolist() == [0, 0.5, 1, 1.5, 2]
    assert scores.pairs.tolist() == [1, 2, 3, 3, 4]
    assert scores.relevant_pairs.tolist() == [1, 2, 2, 2, 3]


def test_no_query_is_nan_and_no_item_is_zero():
    empty, one = np.zeros((0, 4), np.int8), np.ones((1, 4), np.int8)
    assert math.isnan(mean_average_precision(empty, [], one, [0]))
    assert mean_average_precision(one, [0], empty, []) == 0
    assert mean_average_precision(one, [0], one, [0], self_match="keep") == 0
    assert mean_average_precision(one, [0], one, [0], self_match="hit") == 1
    assert mean_average_precision(one, [7], np.ones((3, 4), np.int8), [0, 1, 2]) == 0


def test_bits_and_tensors_are_signs_too():
    import torch

    signs, labels, _, _ = random_case(2, 25, 1, 9, 3)
    score = mean_average_precision(signs, labels, signs, labels, self_match="keep")
    for other in (signs > 0, (signs > 0).astype(np.uint8), signs.astype(np.float32), torch.from_numpy(signs)):
        assert mean_average_precision(other, labels, other, torch.tensor(labels), self_match="keep") == score


def test_query_index_names_the_database_rows():
    signs, labels, _, _ = random_case(4, 30, 1, 6, 3)
    rows = np.array([3, 17, 20])
    whole = mean_average_precision(signs, labels, signs, labels, self_match="exclude")
    part = mean_average_precision(signs[rows], labels[rows], signs, labels, self_match="exclude", query_index=rows)
    assert part.per_query.tolist() == whole.per_query[rows].tolist()


def test_a_score_survives_copying():
    import copy
    import pickle

    score = mean_average_precision([[1], [-1]], [0, 0], [[1], [-1]], [0, 0], self_match="keep", ties="bounds")
    for twin in (copy.deepcopy(score), pickle.loads(pickle.dumps(score))):
        assert twin == score and twin.bounds == score.bounds


@pytest.mark.parametrize(("change", "message"), [
    ({"query_bits": np.ones((2, 5))}, "queries of 5 bits, expected 4"),
    ({"query_labels": [1]}, "1 query labels, expected 2"),
    ({"db_labels": [1, np.nan, 3.0]}, "a missing label in row 2 of db_labels"),
    ({"db_labels": np.zeros((3, 2))}, "the same label columns"),
    ({"db_labels": np.full((3, 2), 7.0)}, "category ids are column 0 alone"),
    ({"db_bits": np.full((3, 4), 0.7)}, "cut sigmoid codes with ibc.codes.binarise"),
    ({"db_bits": np.full((3, 4), np.nan)}, "the value nan in db_bits"),
    ({"db_bits": np.ones(4)}, "a matrix"),
    ({"self_match": "keep"}, "2 queries and 3 items with self_match 'keep'"),
    ({"self_match": "drop"}, "self_match 'drop'"),
    ({"ties": "random"}, "ties 'random'"),
    ({"at": 0}, "at 0"),
    ({"at": 2.5}, "at 2.5, expected a whole rank"),
    ({"divisor": "all"}, "divisor 'all'"),
    ({"self_match": "hit", "query_index": [1, 3]}, "query_index"),
])
def test_bad_input_is_named(change, message):
    arguments = {"query_bits": np.ones((2, 4)), "query_labels": [0, 1], "db_bits": np.ones((3, 4)),
                 "db_labels": [0, 1, 2], **change}
    with pytest.raises(InputError, match=message):
        mean_average_precision(**arguments)


def test_kernels_compile_without_a_writable_cache(monkeypatch):
    import numba

    from ibc.retrieval.engine.kernels import compiled

    plain = numba.njit

    def without_cache(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return plain(**options)

    monkeypatch.setattr(numba, "njit", without_cache)
    assert compiled(lambda x: x + 1)(2) == 3


def test_recall_of_one_relevant_item_and_of_none():
    shares = []
    scores = retrieval_scores([[1, 1], [1, 1]], [0, 7], np.array([[1, 1], [1, -1], [-1, -1]]), [1, 0, 1], points=(1, 2),
                              ranked=shares.append)
    assert (scores.recall(1), scores.recall(2)) == (0, 0.5)
    assert shares[-1] == 1 and sorted(shares) == shares and shares[0] > 0


def test_a_query_that_is_not_in_the_database_beside_one_that_is():
    signs, labels = np.array([[1, 1], [1, 1], [-1, 1]]), np.array([0, 0, 0])
    found = {self_match: mean_average_precision(signs[:2], labels[:2], signs, labels, self_match=self_match,
                                                query_index=[0, -1]).per_query.tolist()
             for self_match in ("keep", "exclude", "hit")}
    assert found == {"keep": [pytest.approx((1 / 2 + 2 / 3) / 2), 1], "exclude": [1, 1], "hit": [1, 1]}
    with pytest.raises(InputError, match="query_index"):
        mean_average_precision(signs[:2], labels[:2], signs, labels, self_match="keep", query_index=[0, -2])


@pytest.mark.parametrize("labels", [[0.2, 0.7, 0.2], [2.0**33, 2.0**34, 2.0**33], [-5, 7, -5]])
def test_labels_may_be_any_numbers(labels):
    signs = np.array([[1, 1], [1, -1], [-1, -1]])
    assert mean_average_precision(signs[:1], labels[:1], signs[1:], labels[1:]) == 0.5
