"""Enlargement equals Pillow's to the last bit; limits decide like 64-bit thresholds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibc.dissection.counting.bilinear import strict_limit, taps, weight_matrix
from ibc.dissection.counting.bitmasks import Enlarger, unpack
from tests.dissection.slow_tally import resize

side = st.integers(1, 40)


@settings(max_examples=60, deadline=None)
@given(st.tuples(side, side), st.tuples(st.integers(0, 150), st.integers(0, 150)), st.integers(0, 2**32 - 1))
def test_masks_equal_pillows(map_size, growth, seed):
    size = (map_size[0] + growth[0], map_size[1] + growth[1])
    rng = np.random.default_rng(seed)
    maps = np.maximum(rng.normal(size=(3, *map_size)), 0).astype(np.float32)
    enlarged = np.stack([resize(values, size) for values in maps])
    # thresholds that are themselves pixel values: the last bit decides
    thresholds = np.array([rng.choice(values.reshape(-1)) for values in enlarged], np.float64)
    masks = Enlarger(map_size, size)(maps, strict_limit(thresholds))
    expected = enlarged.astype(np.float64) > thresholds[:, None, None]
    np.testing.assert_array_equal(unpack(masks, size), expected)
    np.testing.assert_array_equal(masks.pixels, expected.sum((1, 2)))


def test_shrinking_equals_pillow_up_to_rounding():
    maps = np.random.default_rng(0).random((1, 60, 50)).astype(np.float32)
    enlarged = resize(maps[0], (19, 23))
    for threshold in np.linspace(0.3, 0.7, 9):
        clear = np.abs(enlarged - threshold) > 1e-6
        mask = unpack(Enlarger((60, 50), (19, 23))(maps, strict_limit(np.array([threshold]))), (19, 23))[0]
        np.testing.assert_array_equal(mask[clear], enlarged[clear] > threshold)


@pytest.mark.parametrize(("small", "large"), [(6, 113), (6, 227), (13, 112), (1, 9), (40, 7), (5, 5)])
def test_weights_are_means(small, large):
    matrix = weight_matrix(small, large)
    assert matrix.shape == (large, small)
    np.testing.assert_allclose(matrix.sum(1), 1, rtol=1e-15)
    first, weights = taps(matrix)
    rebuilt = np.zeros_like(matrix)
    for place in range(large):
        rebuilt[place, first[place] : first[place] + weights.shape[1]] = weights[place]
    np.testing.assert_array_equal(rebuilt, matrix)


@given(st.floats(-(2.0**99), 2.0**99), st.floats(-(2.0**99), 2.0**99, width=32))
def test_limits_decide_like_thresholds(threshold, value):
    for x in (np.float32(value), np.float32(threshold), np.nextafter(np.float32(threshold), np.float32(np.inf))):
        assert (x > strict_limit(np.array([threshold]))[0]) == (float(x) > threshold)
