"""Code health: what is wrong with codes is found and named."""

import numpy as np
import pytest

from ibc.codes import CodeSet
from ibc.report.health import health_lines
from ibc.retrieval.code_health import code_health


def made_codes():
    """Six bits: 0 and 3 equal, 1 opposite to them, 4 always 0, 5 always 1, 2 by itself."""
    random = np.random.default_rng(0)
    base, free = random.random(200), random.random(200)
    values = np.stack([base, 1 - base, free, base, np.full(200, 0.1), np.full(200, 0.9)], axis=1)
    values[:2] = values[2]
    grm = np.array([[0, 0, 0.4, 0.6, 1, 0.5], [0.9, 0, 0.7, 0, 0.51, 0]])
    return CodeSet(values.astype(np.float32), np.zeros((200, 1), np.float32), grm.astype(np.float32))


@pytest.fixture
def codes():
    return made_codes()


def test_dead_and_duplicate_bits(codes):
    health = code_health(codes)
    assert health.dead.tolist() == [4, 5]
    assert health.duplicates == [(0, 1), (0, 3), (1, 3)]
    assert health.share_of_ones[4:].tolist() == [0, 1]
    text = "\n".join(health_lines(health))
    assert "dead bits, equal in all codes: 2 (5, 6)" in text
    assert "duplicate bits, always or never agreeing: 3 (1 and 2, 1 and 4, 2 and 4)" in text


def test_correlation_of_living_bits(codes):
    signs = codes.bits[:, :4].astype(float)
    ours = code_health(codes).correlation
    assert np.allclose(ours[:4, :4], np.corrcoef(signs.T), atol=1e-12)
    assert np.isnan(ours[4:]).all() and len(code_health(codes).correlations) == 6


def test_nearly_equal_bits_are_no_duplicates():
    values = np.tile(np.random.default_rng(1).random((3000, 1)), 2)
    values[7, 1] = 1 - values[7, 1]
    assert code_health(CodeSet(values.astype(np.float32), np.zeros((3000, 1), np.float32))).duplicates == []


def test_distinct_codes_and_quantisation(codes):
    health = code_health(codes)
    rows, counts = np.unique(codes.bits, axis=0, return_counts=True)
    assert (health.distinct, health.largest) == (len(rows), counts.max())
    values = codes.binary_codes
    assert health.quantisation == pytest.approx(np.minimum(values, 1 - values).mean())
    assert health.undecided == pytest.approx((abs(values - 0.5) < 0.1).mean())
    assert health.values.sum() == values.size


def test_a_zero_sign_makes_another_code():
    values = np.array([[0.5, 0.9], [0.1, 0.9]], np.float32)
    assert code_health(CodeSet(values, np.zeros((2, 1), np.float32))).distinct == 2


def test_rule_matrix(codes):
    health = code_health(codes)
    assert health.grm_zeros == pytest.approx(5 / 12)
    assert health.bits_per_class.tolist() == [2, 3] and health.classes_per_bit.tolist() == [1, 0, 1, 1, 2, 0]


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_any_codes(count, codes):
    few = CodeSet(codes.binary_codes[:count], codes.labels[:count])
    health = code_health(few)
    assert health.distinct == count and len(list(health_lines(health))) == (1 if count == 0 else 5)
