"""Near-identical and identical images: the search against a plain one, and its cost."""

from __future__ import annotations

import numpy as np
import pytest

from ibc.datasets.doctor.duplicates import equal_pairs, near_pairs


@pytest.mark.parametrize("most", [0, 3, 8])
def test_near_hashes_are_those_of_the_plain_search(most):
    rng = np.random.default_rng(most)
    train = rng.integers(0, 2**64, 300, dtype=np.uint64)
    train[250:] = train[:50]
    flips = np.array([sum(1 << int(bit) for bit in rng.choice(64, rng.integers(0, 12), replace=False))
                      for _ in range(200)], dtype=np.uint64)
    test = np.concatenate([train[:200] ^ flips, rng.integers(0, 2**64, 50, dtype=np.uint64)])
    found = near_pairs(train, test, most)
    distances = np.array([[int(left ^ right).bit_count() for right in train.tolist()] for left in test.tolist()])
    rows = np.flatnonzero(distances.min(axis=1) <= most)
    assert np.array_equal(found.test, rows)
    assert np.array_equal(found.train, distances.argmin(axis=1)[rows])
    assert np.array_equal(found.distance, distances.min(axis=1)[rows])


def test_many_equal_hashes_stay_cheap():
    train, test = np.zeros(50_000, np.uint64), np.zeros(20_000, np.uint64)
    found = near_pairs(train, test, 4)
    assert len(found.test) == 20_000 and not found.train.any() and not found.distance.any()


def test_equal_digests():
    rows, columns = equal_pairs(np.array([b"a", b"b", b"b"], "S32"), np.array([b"b", b"c", b"a"], "S32"))
    assert (rows.tolist(), columns.tolist()) == ([0, 2], [1, 0])
