"""Bits of classes, concepts and lists: the official order and bases, and helpful complaints."""

import csv
import json

import numpy as np
import pytest

from ibc.codes import load_codes
from ibc.errors import InputError
from ibc.labels import NO_CATEGORY
from ibc.retrieval.average_precision import mean_average_precision
from ibc.retrieval.bits import bits_of_concepts, expert_bits, on_expert_bits, parse_bits, random_bits


def test_expert_bits_are_the_largest_and_ties_go_to_the_lower_index():
    grm = np.array([[0, 1, 0.5, 1, 0], [0, 0, 0, 0, 0], [0.1, 0.2, 0.3, 0.4, 0.5]])
    assert expert_bits(grm, 3).tolist() == [[1, 3, 2], [0, 1, 2], [4, 3, 2]]


@pytest.mark.parametrize("top_k", [5, 13])
def test_official_expert_map(golden, top_k):
    codes = load_codes(golden / "eval_main_inputs.mat")
    results = json.loads((golden / "eval_main_results.json").read_text())
    queries = on_expert_bits(codes.bits, codes.categories, codes.grm, top_k)
    score = mean_average_precision(queries, codes.categories, codes.bits, codes.categories, self_match="keep")
    assert abs(score - results[f"expert_map_top{top_k}"]) < 1e-12


def test_expert_bits_of_a_query_rank_like_a_cut_code():
    random = np.random.default_rng(0)
    signs, labels, grm = random.choice([-1, 1], (80, 20)), random.integers(0, 4, 80), random.random((3, 20))
    labels[5] = NO_CATEGORY  # neither is a row of the GRM, and class 3 has none
    masked = on_expert_bits(signs, labels, grm, 6)
    score = mean_average_precision(masked, labels, signs, labels, self_match="keep")
    for query in range(80):
        bits = expert_bits(grm, 6)[labels[query]] if labels[query] < 3 else np.array([], int)
        alone = mean_average_precision(signs[[query]][:, bits], labels[[query]], signs[:, bits], labels,
                                       self_match="keep", query_index=[query])
        assert score.per_query[query] == pytest.approx(alone, abs=1e-14)


@pytest.mark.parametrize(("grm", "top_k", "message"), [
    (np.ones((2, 4)), 5, "--top_k_bits: found 5, expected 1 to 4"),
    (np.ones((2, 4)), 0, "1 to 4"),
    (np.ones(4), 2, "a GRM of shape"),
    (np.full((2, 4), np.nan), 2, "not finite"),
])
def test_a_wrong_grm_or_number_is_named(grm, top_k, message):
    with pytest.raises(InputError, match=message):
        expert_bits(grm, top_k)


@pytest.mark.parametrize(("classes", "grm", "message"), [
    (np.array([0, 1]), np.ones((2, 3)), r"a GRM of shape \(2, 3\), expected 4 columns"),
    (np.array([0, 1]), np.ones(4), "a GRM of shape"),
    (np.ones((2, 5), bool), np.ones((3, 4)), "5 label columns, expected 3"),
])
def test_a_grm_that_does_not_fit_is_named(classes, grm, message):
    with pytest.raises(InputError, match=message):
        on_expert_bits(np.ones((2, 4), np.int8), classes, grm, 2)


TALLY = [
    {"unit": 3, "category": "object", "label": "sea", "score": 0.09, "color-label": "blue-c", "color-iou": 0.05},
    {"unit": 1, "category": "color", "label": "blue-c", "score": 0.06, "color-label": "blue-c", "color-iou": 0.06},
    {"unit": 8, "category": "object", "label": "sea", "score": 0.03, "color-label": "", "color-iou": 0},
    {"unit": 2, "category": "scene", "label": "swimming_pool-s", "score": 0.041, "color-label": "blue-c",
     "color-iou": 0.04},
    {"unit": 5, "category": "object", "label": "", "score": 0, "color-label": "", "color-iou": 0},
]


@pytest.fixture
def tally(tmp_path):
    path = tmp_path / "tally.csv"
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, TALLY[0])
        writer.writeheader()
        writer.writerows(TALLY)
    return path


@pytest.mark.parametrize(("concepts", "min_iou", "any_category", "bits"), [
    (["sea"], 0.04, False, [2]), (["sea"], 0.02, False, [2, 7]), (["blue"], 0.04, False, [0]),
    (["Swimming pool", "sea"], 0.04, False, [1, 2]), (["blue"], 0.04, True, [0, 1, 2]), (["blue"], 0.05, True, [0, 2]),
])
def test_bits_of_concepts(tally, concepts, min_iou, any_category, bits):
    assert bits_of_concepts(tally, concepts, min_iou, any_category=any_category).tolist() == bits


def test_a_tally_object_serves_as_well():
    from types import SimpleNamespace

    names = ["", "sea", "blue-c", "swimming_pool-s"]
    unit_labels, scores = np.array([[1, 2], [2, 2], [0, 0]]), np.array([[0.09, 0.05], [0.02, 0.06], [0.0, 0.0]])
    made = SimpleNamespace(units=np.array([3, 1, 5]), names=names, best_label=unit_labels, best_iou=scores,
                           label=np.array([1, 2, 0]), score=scores.max(axis=1))
    assert bits_of_concepts(made, ["sea", "blue"]).tolist() == [0, 2]
    assert bits_of_concepts(made, ["blue"]).tolist() == [0]
    assert bits_of_concepts(made, ["blue"], any_category=True).tolist() == [0, 2]
    with pytest.raises(InputError, match="tally: found no unit labelled 'sky'"):
        bits_of_concepts(made, ["sky"])


@pytest.mark.parametrize(("concept", "message"), [
    ("see", "no unit labelled 'see'.*near names: sea"), ("pool", "near names: swimming pool"),
    ("xyz", "see the label column")])
def test_an_unknown_concept_names_near_ones(tally, concept, message):
    with pytest.raises(InputError, match=message):
        bits_of_concepts(tally, [concept])


def test_a_concept_below_the_threshold_says_how_far(tally):
    with pytest.raises(InputError, match=r"'sea' at IoU 0\.090 at best, expected 0\.1 or more"):
        bits_of_concepts(tally, ["sea"], 0.1)


@pytest.mark.parametrize(("text", "message"), [
    ("label,score\nsea,1\n", "no column 'unit'"), ("unit,label,score\n1,sea,high\n", "tally.csv:2: .*not a number")])
def test_a_broken_table_is_named(tmp_path, text, message):
    path = tmp_path / "tally.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        bits_of_concepts(path, ["sea"])


def test_official_table_is_read(golden):
    rows = list(csv.DictReader((golden / "dissect_tally.csv").open()))
    concept = rows[0]["label"]
    wanted = sorted(int(row["unit"]) - 1 for row in rows if row["label"] == concept and float(row["score"]) >= 0.01)
    assert bits_of_concepts(golden / "dissect_tally.csv", [concept], 0.01).tolist() == wanted


def test_typed_bits_count_from_one_and_may_repeat():
    assert parse_bits("1, 4-6,4", 8).tolist() == [0, 3, 4, 5, 3]
    for text, message in (("0", "1 to 8"), ("9", "1 to 8"), ("5-3", "1 to 8"), ("a", "as in 1,2"), ("", "as in 1,2")):
        with pytest.raises(InputError, match=message):
            parse_bits(text, 8)


def test_random_bits_are_different_bits_and_repeat_by_seed():
    sets = random_bits(10, 4, 30, seed=1)
    assert all(len(set(bits.tolist())) == 4 for bits in sets)
    assert len({tuple(bits.tolist()) for bits in sets}) > 20
    assert all(np.array_equal(a, b) for a, b in zip(sets, random_bits(10, 4, 30, seed=1), strict=True))
