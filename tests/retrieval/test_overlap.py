"""Queries that stand in the database are found by file, path, name and code; the trusted figures do without them."""

import numpy as np
import pytest

from ibc.codes import CodeSet, save_codes
from ibc.retrieval.attribute_evaluation import attribute_data, trusted_data
from ibc.retrieval.category import BitSettings, CodePair, RankingProtocol, evaluate_category
from ibc.retrieval.overlap import find_overlap

RANDOM = np.random.default_rng(0)
VALUES = RANDOM.random((60, 16)).astype(np.float32)
LABELS = np.column_stack([np.arange(60) % 4, RANDOM.integers(0, 2, (60, 2))]).astype(np.float32)
GRM = RANDOM.random((4, 16)).astype(np.float32)
PATHS = [f"images/é/{number}.jpg" for number in range(60)]


def codes(rows, paths=PATHS, values=VALUES):
    return CodeSet(values[rows], LABELS[rows], GRM, None if paths is None else [paths[row] for row in rows])


QUERIES, DATABASE = np.arange(20), np.arange(10, 60)


@pytest.mark.parametrize(("change", "how"), [
    (lambda path: path, "same path"), (lambda path: f"./{path}", "same path"),
    (lambda path: path.replace("/", "\\"), "same path"), (lambda path: f"images/../{path}//", "same path"),
    (lambda path: path.replace("é", "e\u0301"), "same path"),
    (lambda path: f"/data/{path}", "same file name and codes"),
    (lambda path: path.split("/")[-1], "same file name and codes"),
])
def test_paths_are_compared_after_normalising(change, how):
    overlap = find_overlap(codes(QUERIES, [change(path) for path in PATHS]), codes(DATABASE))
    assert overlap.rows.tolist() == [-1] * 10 + list(range(10))
    assert np.flatnonzero(overlap.inside).tolist() == list(range(10))
    assert f"10 of 20 queries stand in the database too ({how})" in overlap.note


def test_nothing_in_common_says_nothing():
    overlap = find_overlap(codes(np.arange(20)), codes(np.arange(20, 60)))
    assert not overlap and overlap.note == ""


def test_an_image_several_times_in_the_database():
    overlap = find_overlap(codes(QUERIES), codes(np.concatenate([DATABASE, DATABASE])))
    assert overlap.inside.sum() == 20


def test_the_same_path_with_other_codes_is_another_image():
    overlap = find_overlap(codes(QUERIES), codes(DATABASE, values=VALUES[::-1]))
    assert not overlap and "10 paths of queries stand in the database with other codes" in overlap.note
    almost = find_overlap(codes(QUERIES), codes(DATABASE, values=VALUES + np.float32(1e-4)))
    assert almost.inside.sum() == 10


def test_files_without_paths_are_compared_by_codes():
    overlap = find_overlap(codes(QUERIES, None), codes(DATABASE))
    assert overlap.inside.sum() == 10 and "the files hold no paths" in overlap.note
    bits = np.round(VALUES)
    assert not find_overlap(codes(QUERIES, None, bits), codes(DATABASE, None, bits))
    assert find_overlap(codes(QUERIES, None, bits), codes(QUERIES, None, bits)).is_whole


def score(queries, database, *paths):
    pair = CodePair(queries, database, False, *paths)
    return pair, evaluate_category(pair, RankingProtocol(None, points=(1,)), BitSettings(4, 2), lambda count: None)


def same_scores(first, second):
    for mine, own in zip(first.rows, second.rows, strict=True):
        assert mine.trusted == own.trusted and mine.class_accuracy == own.class_accuracy
    assert first.random.trusted == second.random.trusted


def test_trusted_figures_are_those_of_a_database_without_the_queries():
    _, with_them = score(codes(QUERIES), codes(DATABASE))
    _, without = score(codes(QUERIES), codes(DATABASE[10:]))
    same_scores(with_them, without)
    hidden = codes(DATABASE, [f"{number}.png" for number in range(60)])  # as it was: nothing noticed
    assert [row.asked for row in score(codes(QUERIES), hidden)[1].rows][:2] == [
        row.asked for row in with_them.rows][:2]


def test_a_database_of_queries_alone_leaves_each_out_of_its_own_ranking(tmp_path):
    save_codes(tmp_path / "c.npz", codes(QUERIES))
    one = codes(QUERIES)
    pair, twice = score(one, codes(QUERIES), tmp_path / "c.npz", tmp_path / ".." / tmp_path.name / "c.npz")
    assert "the very same file" in pair.overlap.note
    alone = CodePair(one, one)
    same_scores(twice, evaluate_category(alone, RankingProtocol(points=(1,)), BitSettings(4, 2), lambda count: None))


def test_attributes_do_without_them_too():
    pair = CodePair(codes(QUERIES), codes(DATABASE))
    trusted = trusted_data(pair, attribute_data(pair, "cpu"))
    assert np.array_equal(trusted.db_signs, codes(DATABASE[10:]).bits) and not trusted.same
    whole = CodePair(codes(QUERIES), codes(QUERIES[::-1]))
    trusted = trusted_data(whole, attribute_data(whole, "cpu"))
    assert trusted.same and np.array_equal(trusted.db_signs, trusted.query_signs)
    apart = CodePair(codes(QUERIES), codes(DATABASE[10:]))
    assert trusted_data(apart, attribute_data(apart, "cpu")) is None
