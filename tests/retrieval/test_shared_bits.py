"""What a set of images shares, against the log-likelihood ratio of scipy."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from ibc.retrieval.shared_bits import shared_bits, shared_by_rows


def test_shares_and_ratios():
    random = np.random.default_rng(0)
    signs = np.where(random.random((80, 10)) < random.random(10), 1, -1).astype(np.int8)
    rows = np.arange(0, 80, 5)
    rest = np.setdiff1d(np.arange(80), rows)
    found = shared_by_rows(signs, rows)
    expected = []
    for bit in range(10):
        inside, outside = (signs[rows, bit] > 0).sum(), (signs[rest, bit] > 0).sum()
        table = [[inside, len(rows) - inside], [outside, len(rest) - outside]]
        if inside / len(rows) > outside / len(rest):
            expected.append((bit, inside / len(rows), outside / len(rest),
                             chi2_contingency(table, correction=False, lambda_="log-likelihood")[0]))
    expected.sort(key=lambda entry: -entry[3])
    assert [shared.bit for shared in found] == [entry[0] for entry in expected]
    assert np.allclose([(shared.inside, shared.outside, shared.score) for shared in found],
                       [entry[1:] for entry in expected])


def test_undecided_bits_count_half_and_a_bit_of_all_is_not_shared():
    (only,) = shared_bits(np.array([[1, 0], [1, 1]]), np.array([[1, -1], [1, -1]]))
    assert (only.bit, only.inside, only.outside) == (1, 0.75, 0.0)


def test_an_empty_side():
    with pytest.raises(ValueError, match="2 images in the set and 0 outside"):
        shared_by_rows(np.ones((2, 3), np.int8), np.array([0, 1]))
