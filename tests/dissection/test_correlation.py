"""The streamed correlation equals numpy's of the whole series."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ibc.dissection.correlation import Correlation

CPU = torch.device("cpu")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_correlation_in_batches(sizes, seed):
    rng = np.random.default_rng(seed)
    x = (1000 + rng.normal(size=(sum(sizes), 3))).astype(np.float32)
    y = (0.3 * x + rng.normal(size=x.shape)).astype(np.float32)
    y[:, 2] = 0.25  # a constant has no correlation
    streamed, begin = Correlation(3, CPU), 0
    for size in sizes:
        streamed.add(torch.from_numpy(x[begin : begin + size]), torch.from_numpy(y[begin : begin + size]))
        begin += size
    found = streamed.result()
    assert np.isnan(found[2])
    if len(x) > 2:
        expected = [np.corrcoef(x[:, unit].astype(float), y[:, unit].astype(float))[0, 1] for unit in range(2)]
        np.testing.assert_allclose(found[:2], expected, atol=1e-9)
