"""MIS: k-NN equal to scikit-learn, exact equal to its table formula, samples drawn by the stated rule."""

import json
import math

import numpy as np
import pytest
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import mutual_info_score as table_information

from ibc.codes import load_codes
from ibc.errors import InputError
from ibc.labels import NO_CATEGORY, Labels
from ibc.retrieval.mutual_info import class_samples, mutual_info_score, random_codes


def codes_of_classes(seed, count, bits, classes, zeros=0.0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    likely = random.random((classes, bits))[labels]
    signs = np.where(random.random((count, bits)) < likely, 1, -1)
    signs[random.random(signs.shape) < zeros] = 0
    return signs.astype(np.int8), labels


def slow_samples(labels, samples, seed, class_num):
    """The rule of the reference, word by word."""
    random = np.random.RandomState(seed)
    for label in range(class_num):
        mine = [row for row, other in enumerate(labels) if other == label]
        if not mine:
            continue
        others = [row for row, other in enumerate(labels) if other != label]
        order = random.permutation(len(others))
        positives = mine[: min(samples // 2, len(mine))]
        yield positives, [others[place] for place in order[: samples - len(positives)]]


def noise_state(number, samples, bits, seed):
    """The generator before the noise of class ``number``: eight classes share a draw, as in the official program."""
    random = np.random.RandomState(seed)
    for _ in range(number // 8):
        random.standard_normal((samples, bits))
    return random


@pytest.mark.parametrize("samples", [20, 100])
def test_samples_follow_the_stated_rule(samples):
    labels = np.random.default_rng(0).integers(0, 9, 150)
    labels[labels == 4] = NO_CATEGORY
    classes = np.array([0, 1, 2, 3, 5, 6, 7, 8])
    ours = [(p.tolist(), n.tolist()) for p, n in class_samples(Labels(labels), classes, samples, 7)]
    assert ours == list(slow_samples(labels, samples, 7, 9))
    assert any(len(p) < samples // 2 for p, _ in ours) or samples == 20


@pytest.mark.parametrize(("count", "bits", "classes", "samples", "zeros"), [
    (600, 16, 5, 100, 0), (300, 8, 30, 20, 0.1), (70, 6, 9, 100, 0), (60, 1, 25, 20, 0)])
def test_knn_equals_scikit_learn(count, bits, classes, samples, zeros):
    signs, labels = codes_of_classes(count, count, bits, classes, zeros)
    score = mutual_info_score(signs, labels, estimator="knn", samples=samples, seed=3)
    table = []
    for number, (positives, negatives) in enumerate(slow_samples(labels, samples, 3, classes)):
        target = [1] * len(positives) + [0] * len(negatives)
        table.append(mutual_info_classif(signs[positives + negatives].astype(float), target,
                                         random_state=noise_state(number, samples, bits, 3)))
    assert np.abs(score.table - np.array(table)).max() < 1e-12
    assert abs(score - np.max(table, axis=0).mean()) < 1e-12
    assert score.best_class.tolist() == np.unique(labels)[np.argmax(table, axis=0)].tolist()


def test_knn_reaches_the_official_score(golden):
    """Five recorded official runs on 5,000 codes of 256 bits, 100 classes."""
    codes = load_codes(golden / "mis_inputs.npz", kind="packed")
    record = json.loads((golden / "mis_results.json").read_text())["std"]
    samples, runs = record["max_samples_per_class"], record["runs"]
    ours = [mutual_info_score(codes.bits, codes.categories, samples=samples, seed=run["seed"]) for run in runs]
    theirs = [run["official_mis"] for run in runs]
    assert ours == pytest.approx(theirs, abs=5e-4)
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=1e-4)
    exact = mutual_info_score(codes.bits, codes.categories, samples=samples, seed=0, estimator="exact")
    assert exact == pytest.approx(runs[0]["exact_mis"], abs=1e-12)


def test_knn_takes_sigmoid_values_as_they_are():
    random = np.random.default_rng(1)
    values, labels = random.random((200, 5), np.float32), random.integers(0, 2, 200)
    score = mutual_info_score(values, labels, estimator="knn", samples=60, seed=5)
    rows = [p + n for p, n in slow_samples(labels, 60, 5, 2)]
    for taken, line in zip(rows, score.table, strict=True):
        theirs = mutual_info_classif(values[taken], [1] * 30 + [0] * 30, random_state=5)
        assert np.abs(line - theirs).max() < 1e-12


@pytest.mark.parametrize("zeros", [0, 0.2])
def test_exact_is_the_information_of_the_table_of_counts(zeros):
    signs, labels = codes_of_classes(2, 400, 12, 7, zeros)
    score = mutual_info_score(signs, labels, estimator="exact", samples=100, seed=11)
    for line, (positives, negatives) in zip(score.table, slow_samples(labels, 100, 11, 7), strict=True):
        target = [1] * len(positives) + [0] * len(negatives)
        theirs = [table_information(target, signs[positives + negatives, bit]) for bit in range(12)]
        assert np.abs(line - theirs).max() < 1e-14
    assert 0 < score < math.log(2)


def test_all_samples_weigh_class_and_rest_alike():
    signs, labels = codes_of_classes(4, 400, 3, 3)
    score = mutual_info_score(signs, labels, estimator="exact", samples="all")
    for row, label in enumerate(range(3)):
        for bit in range(3):
            plus = [np.mean(signs[side, bit] == 1) for side in (labels == label, labels != label)]
            joint = np.array([[p / 2, (1 - p) / 2] for p in plus])
            independent = joint.sum(axis=0) / 2
            assert score.table[row, bit] == pytest.approx((joint * np.log(joint / independent)).sum(), abs=1e-14)


def test_a_perfect_bit_reaches_ln_2_and_a_constant_one_0():
    labels = np.repeat([0, 1], 50)
    signs = np.stack([np.where(labels == 1, 1, -1), np.ones(100, int)], axis=1)
    score = mutual_info_score(signs, labels, estimator="exact")
    assert score.per_bit.tolist() == pytest.approx([math.log(2), 0])
    assert mutual_info_score(signs > 0, labels, estimator="exact") == score


def test_classes_without_negatives_or_neighbours_tell_nothing():
    signs = np.array([[1, -1]] * 3)
    for estimator in ("knn", "exact"):
        assert mutual_info_score(signs, [4, 4, 4], estimator=estimator) == 0
        assert mutual_info_score(signs[:1], [4], estimator=estimator) == 0
    assert mutual_info_score(signs[:2], [0, 1], estimator="knn") == 0  # one point each: no neighbour


def test_items_without_a_category_are_negatives_and_no_class():
    signs, labels = codes_of_classes(6, 120, 4, 3)
    labels[:30] = NO_CATEGORY
    score = mutual_info_score(signs, labels, estimator="exact", seed=2)
    assert score.classes.tolist() == [0, 1, 2]
    assert mutual_info_score(signs, labels, estimator="exact", class_num=2, seed=2).classes.tolist() == [0, 1]


@pytest.mark.parametrize("estimator", ["knn", "exact"])
def test_several_labels_an_item(estimator):
    signs, _ = codes_of_classes(7, 150, 6, 3)
    sets = np.random.default_rng(7).choice([0, 1, 2], (150, 4), p=[0.6, 0.3, 0.1])
    sets[:, 2] = 0
    score = mutual_info_score(signs, sets, estimator=estimator, samples=40, seed=9)
    random = np.random.RandomState(9)
    table = []
    for label in (0, 1, 3):
        mine, others = np.flatnonzero(sets[:, label] == 1), np.flatnonzero(sets[:, label] != 1)
        positives = mine[:20]
        rows = [*positives, *others[random.permutation(len(others))[: 40 - len(positives)]]]
        target = [1] * len(positives) + [0] * (len(rows) - len(positives))
        table.append(mutual_info_classif(signs[rows].astype(float), target, random_state=9) if estimator == "knn" else
                     [table_information(target, signs[rows, bit]) for bit in range(6)])
    assert score.classes.tolist() == [0, 1, 3]
    assert np.abs(score.table - np.array(table)).max() < 1e-12
    assert mutual_info_score(signs, sets == 1, estimator=estimator, samples=40, seed=9) == score


def test_one_hot_labels_are_categories():
    signs, labels = codes_of_classes(9, 90, 5, 4)
    for estimator, samples in (("knn", 20), ("exact", 20), ("exact", "all")):
        ids, hot = (mutual_info_score(signs, given, estimator=estimator, samples=samples)
                    for given in (labels, np.eye(4)[labels]))
        assert np.array_equal(ids.table, hot.table) and ids.best_class.tolist() == hot.best_class.tolist()


def test_random_codes_keep_the_balance_of_every_bit():
    signs, _ = codes_of_classes(8, 200, 6, 3)
    shuffled = random_codes(signs, 1)
    assert shuffled.sum(axis=0).tolist() == signs.sum(axis=0).tolist()
    assert (shuffled != signs).any(axis=0).all()
    assert np.array_equal(shuffled, random_codes(signs, 1)) and not np.array_equal(shuffled, random_codes(signs, 2))


@pytest.mark.parametrize(("change", "message"), [
    ({"estimator": "mine"}, "estimator 'mine'"),
    ({"samples": "all", "estimator": "knn"}, "use the exact estimate"),
    ({"samples": 1}, "at least 2"),
    ({"labels": [0]}, "3 category ids"),
    ({"labels": [0, np.nan, 1.0]}, "missing label in row 2"),
    ({"labels": [NO_CATEGORY] * 3}, "no item with a category among 3"),
    ({"labels": [7] * 3, "class_num": 4}, "no item with a category from 0 to 3 among 3"),
    ({"bits": np.full((3, 2), np.nan), "estimator": "knn"}, "not a finite number"),
    ({"bits": np.full((3, 2), 0.3)}, "cut sigmoid codes"),
    ({"bits": np.ones(3), "estimator": "knn"}, "a matrix"),
])
def test_bad_input_is_named(change, message):
    arguments = {"bits": np.ones((3, 2)), "labels": [0, 1, 1], "estimator": "exact", **change}
    with pytest.raises(InputError, match=message):
        mutual_info_score(arguments.pop("bits"), arguments.pop("labels"), **arguments)
