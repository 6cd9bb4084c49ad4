"""Search: equal to a slow twin for every kind of query, in every order of ties; bad input is named."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ibc.retrieval
from ibc.errors import InputError
from ibc.retrieval import CodeIndex, search
from ibc.retrieval.engine import plane_search
from ibc.retrieval.engine.planes import BitPlanes
from tests.conftest import ROOT
from tests.retrieval.slow_search import slow_search


def random_search(seed, items, queries, length, kind, zeros, weighting, sets):
    """(db, queries, bits, weights). Weights are eighths, so that sums are exact and ties are ties."""
    random = np.random.default_rng(seed)
    db = np.where(random.random((items, length)) < 0.5, -1, 1)
    db[random.random(db.shape) < zeros] = 0
    wanted = random.integers(-8, 9, (queries, length)) / 8 if kind == "graded" else random.integers(
        -1, 2, (queries, length))
    if kind == "full":
        wanted = np.where(wanted > 0, 1, -1)
    wanted[:, 0] = 1
    weights = None
    if weighting != "none":
        weights = random.integers(0, 17, (queries, length) if weighting == "own" else length) / 8
        weights[..., 0] = 1.5
    bits = None
    if sets == "one":
        bits = [0, *np.flatnonzero(random.random(length) < 0.4).tolist()]
    elif sets == "own":
        bits = [[0, *np.flatnonzero(random.random(length) < 0.4).tolist()] for _ in range(queries)]
    return db, wanted, bits, weights


cases = st.builds(random_search, seed=st.integers(0, 10**6), items=st.integers(1, 60), queries=st.integers(1, 4),
                  length=st.sampled_from([1, 3, 13, 63, 64, 65, 130]),
                  kind=st.sampled_from(["full", "masked", "graded"]), zeros=st.sampled_from([0.0, 0.1]),
                  weighting=st.sampled_from(["none", "one", "own"]), sets=st.sampled_from(["all", "one", "own"]))


@settings(max_examples=150, deadline=None)
@given(case=cases, top=st.sampled_from([1, 5, 100]))
def test_equal_to_the_slow_twin(case, top):
    db, queries, bits, weights = case
    found = search(db, queries, bits=bits, weights=weights, top=top)
    rows, distances = slow_search(db, queries, bits, weights, top)
    assert found.rows.dtype == np.int64 and found.rows.shape == (len(queries), min(top, len(db)))
    assert found.rows.tolist() == rows
    assert np.array_equal(found.distances, np.array(distances, np.float64))


def test_documented_names_stay_functions():
    assert callable(ibc.retrieval.search) and callable(ibc.retrieval.search) and ibc.retrieval.CodeIndex is CodeIndex


def test_whole_distances_are_whole_numbers():
    db = np.array([[1, 1], [1, -1]])
    assert search(db, db).distances.dtype == np.int64
    assert search(db, db, weights=[1, 0.5]).distances.dtype == np.float64
    assert search([[1, 0], [1, 1]], db).distances.tolist() == [[0, 0.5], [0.5, 1]]


def test_bool_bits_and_an_index_that_grows():
    random = np.random.default_rng(0)
    db, more, queries = (random.random((count, 70)) < 0.5 for count in (100, 37, 5))
    index = CodeIndex(db[:60])
    index.add(db[60:])
    index.add(more)
    whole = search(np.concatenate([db, more]), queries, top=20)
    found = index.search(queries, top=20)
    assert len(index) == 137 and index.code_length == 70
    assert np.array_equal(found.rows, whole.rows) and np.array_equal(found.distances, whole.distances)
    assert np.array_equal(search(index, queries, top=20).rows, whole.rows)


@pytest.mark.parametrize("weights", [None, np.arange(1, 21) / 8])
@pytest.mark.parametrize("count", [1, 5])
def test_threads_share_queries_or_the_database(monkeypatch, weights, count):
    random = np.random.default_rng(7)
    db = np.where(random.random((20_000, 20)) < 0.5, -1, 1).astype(np.int8)
    index, queries = CodeIndex(db[:9000]), db[:count]
    index._stores.append(BitPlanes(20))  # as behind a memory map
    index.add(db[9000:])
    expected = dense_search(db, queries, 1, np.ones((1, 20)) if weights is None else weights[None], 300)
    monkeypatch.setattr(plane_search, "LEAST_PLANES", 1)
    for threads in (1, 2, 3, 7):
        monkeypatch.setattr(plane_search, "compute_threads", lambda threads=threads: threads)
        found = index.search(queries, weights=weights, top=300)
        assert np.array_equal(found.rows, expected[0]) and np.array_equal(found.distances, expected[1])


def test_no_items_and_no_queries():
    index = CodeIndex(np.empty((0, 8), np.int8))
    assert index.search(np.ones((2, 8))).rows.shape == (2, 0) and len(index) == 0
    index.add(np.ones((3, 8)))
    assert index.search(np.ones((2, 8))).rows.tolist() == [[0, 1, 2]] * 2
    assert index.search(np.empty((0, 8), np.int8), top=2).rows.shape == (0, 2)


def test_codes_longer_than_a_thousand_bits():
    random = np.random.default_rng(5)
    db, queries = (np.where(random.random((count, 2100)) < 0.5, -1, 1) for count in (700, 3))
    rows, distances = dense_search(db, queries, 1, np.ones((3, 2100)), 40)
    found = search(db, queries, top=40)
    assert np.array_equal(found.rows, rows) and np.array_equal(found.distances, distances)


@pytest.mark.parametrize(("arguments", "words"), [
    ({"bits": []}, "an empty set of bits"),
    ({"bits": [[1], []]}, "an empty set of bits"),
    ({"bits": [[1], [2], [3]]}, "3 bit sets for 2 queries"),
    ({"bits": [0, 8]}, "bit 8"),
    ({"bits": [-1]}, "bit -1"),
    ({"bits": [0.5]}, "whole numbers from 0"),
    ({"weights": np.zeros(8)}, "no bit that counts in query 1"),
    ({"weights": np.full(8, -1)}, "the weight -1"),
    ({"weights": np.full(8, np.nan)}, "the weight nan"),
    ({"weights": np.ones(7)}, "weights of shape (7,)"),
    ({"top": 0}, "top 0"),
    ({"top": 2.5}, "top 2.5"),
    ({"query_bits": np.ones((2, 7))}, "queries of 7 bits, expected 8"),
    ({"query_bits": np.zeros((2, 8))}, "no bit that counts in query 1"),
    ({"query_bits": np.full((2, 8), 1.5)}, "the value 1.5 in query_bits"),
    ({"query_bits": np.ones(8)}, "query_bits of shape (8,)"),
    ({"db_bits": np.full((2, 8), 0.7)}, "the value 0.7"),
])
def test_bad_input(arguments, words):
    good = {"db_bits": np.ones((5, 8)), "query_bits": np.ones((2, 8))}
    with pytest.raises(InputError, match=re.escape(words)):
        search(**(good | arguments))


def dense_search(db, queries, mask, weights, top):
    """(rows, distances) by a dense matrix of distances and a stable sort; weights whose sums are exact."""
    factor = np.abs(queries) * mask * weights
    signs = np.sign(queries)
    distance = (factor.sum(axis=1)[:, None] - (factor * signs) @ db.T.astype(float)) / 2
    # An item's bit that does not count must not matter: factor is 0 there.
    rows = np.argsort(distance, axis=1, kind="stable")[:, :top]
    return rows, np.take_along_axis(distance, rows, axis=1)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), items=st.integers(500, 5000), length=st.sampled_from([2, 13, 64, 200, 300]),
       top=st.sampled_from([1, 20, 700, 6000]), zeros=st.sampled_from([0.0, 0.02]), weighted=st.booleans(),
       steps=st.integers(1, 3))
def test_many_tiles_and_added_rows_equal_a_dense_matrix(seed, items, length, top, zeros, weighted, steps):
    random = np.random.default_rng(seed)
    db = np.where(random.random((items, length)) < random.random(length), -1, 1).astype(np.int8)
    edges = np.sort(random.integers(0, items, steps - 1)).tolist()
    db[random.random(db.shape) < zeros] = 0
    db[: items // 3] = np.where(db[: items // 3] == 0, 1, db[: items // 3])  # zeros may come only with later rows
    queries = random.integers(-1, 2, (3, length))
    queries[:, 0] = 1
    mask = random.random((3, length)) < 0.7
    mask[:, 0] = True
    weights = random.integers(1, 2000, (3, length)) / 64 if weighted else np.ones((3, length))
    index = CodeIndex(db[: edges[0] if edges else items])
    for start, stop in zip(edges, [*edges, items][1:], strict=True):
        index.add(db[start:stop])
    found = index.search(queries, bits=[np.flatnonzero(row) for row in mask], weights=weights if weighted else None,
                         top=top)
    rows, distances = dense_search(db, queries, mask, weights, top)
    assert np.array_equal(found.rows, rows) and np.array_equal(found.distances, distances)


def test_worst_order_of_the_database_and_all_equal_items():
    """Every item is nearer than those before it, so candidates fall out all the time; then all are equally far."""
    db = np.full((40_000, 16), -1, np.int8)
    for bit in range(16):
        db[2_500 * bit :, bit] = 1
    query = np.ones((1, 16))
    found = search(db, query, top=300)
    assert found.rows[0].tolist() == list(range(37_500, 37_800)) and not found.distances.any()
    found = search(db, query, bits=[0], weights=np.full(16, 0.1), top=300)
    assert found.rows[0].tolist() == list(range(300))
    found = search(db, -query, bits=[0], weights=np.full(16, 0.1), top=300)
    assert found.rows[0].tolist() == list(range(300)) and (found.distances == 0.1).all()


def test_any_real_weights_give_the_order_of_the_exact_sums():
    random = np.random.default_rng(3)
    db = np.where(random.random((30_000, 40)) < 0.5, -1, 1).astype(np.int8)
    queries, weights = random.uniform(-1, 1, (3, 40)), random.lognormal(0, 2, 40)
    found = search(db, queries, weights=weights, top=50)
    distance = np.zeros((3, len(db)))
    for bit in range(40):
        differs = np.sign(queries[:, bit])[:, None] != db[:, bit]
        distance += (weights[bit] * np.abs(queries[:, bit]))[:, None] * differs
    rows = np.argsort(distance, axis=1, kind="stable")[:, :50]
    assert np.array_equal(found.rows, rows)
    assert np.array_equal(found.distances, np.take_along_axis(distance, rows, axis=1))


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{"NUMBA_ENABLE_AVX": "0"},
                                         {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}])
def test_the_kernels_run_on_lesser_processors(environment, tmp_path):
    tests = "test_any_real_weights_give_the_order_of_the_exact_sums or test_worst_order"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", tests]
    environment = os.environ | environment | {"NUMBA_CACHE_DIR": str(tmp_path)}
    result = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    assert result.returncode == 0
