"""Top images of a unit: the plain sort, whatever the batches."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ibc.dissection.top_images import TopImages

CPU = torch.device("cpu")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_top_images(top, sizes, seed):
    """Whatever the batches and the order of visits: largest maxima first, of equal ones the first image."""
    rng = np.random.default_rng(seed)
    count = sum(sizes)
    top = min(top, count)
    maps = rng.integers(0, 3, (count, 4, 2, 2)).astype(np.float32)
    order = rng.permutation(count)
    kept, begin = TopImages(4, top, (2, 2), CPU), 0
    for size in sizes:
        batch = order[begin : begin + size]
        kept.add(torch.from_numpy(batch), torch.from_numpy(maps[batch]))
        begin += size
    for unit in range(4):
        peaks = maps[:, unit].max((1, 2))
        expected = np.lexsort((np.arange(count), -peaks))[:top]
        assert kept.image[unit].tolist() == expected.tolist()
        np.testing.assert_array_equal(kept.peak[unit], peaks[expected])
        np.testing.assert_array_equal(kept.maps[unit], maps[expected, unit])
