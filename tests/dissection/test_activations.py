"""What the first pass keeps: maps within a budget, top images, correlations."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ibc.dissection.correlation import Correlation
from ibc.dissection.encoders import Response
from ibc.dissection.kept_maps import BatchMaps, KeptMaps
from ibc.dissection.top_images import TopImages

CPU = torch.device("cpu")


def response(rng, images=6, units=5):
    maps = torch.from_numpy(np.maximum(rng.normal(size=(images, units, 3, 4)), 0).astype(np.float32))
    return Response(maps, torch.from_numpy(rng.random((images, units)).astype(np.float32)))


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


def test_store_keeps_whole_batches_within_its_budget():
    rng = np.random.default_rng(0)
    batches = [BatchMaps.of(response(rng), None) for _ in range(8)]
    store = KeptMaps(budget=3 * batches[0].bytes, batches=8)
    for number, batch in enumerate(batches):
        store.add(number, batch, None)
        assert store.bytes <= store.budget
    assert sorted(store.kept) == [0, 1, 2]  # nothing could be dropped: the others are encoded again


def test_store_drops_what_cannot_matter():
    """Once thresholds are known to lie higher, earlier batches shrink and later ones find room."""
    rng = np.random.default_rng(0)
    responses = [response(rng) for _ in range(8)]
    bound = torch.full((5,), 1.9)
    whole = BatchMaps.of(responses[0], None)
    store = KeptMaps(budget=3 * whole.bytes, batches=8)
    for number, own in enumerate(responses):
        limit = None if number < 3 else bound
        store.add(number, BatchMaps.of(own, limit), limit)
    assert sorted(store.kept) == list(range(8))
    for number, own in enumerate(responses):
        peaks = own.maps.amax((2, 3))
        image, unit = (peaks > bound).nonzero(as_tuple=True)
        kept = store.kept[number].above(bound)
        torch.testing.assert_close(kept.image, image)
        torch.testing.assert_close(kept.unit, unit)
        torch.testing.assert_close(kept.maps, own.maps[image, unit])
        torch.testing.assert_close(kept.bit, own.codes[image, unit] > 0.5)
