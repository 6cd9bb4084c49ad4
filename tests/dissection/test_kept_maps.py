"""The maps that pass one keeps: whole batches, within a budget, without those that cannot matter."""

import numpy as np
import torch

from ibc.dissection.encoders import Response
from ibc.dissection.kept_maps import BatchMaps, KeptMaps


def response(rng, images=6, units=5):
    maps = torch.from_numpy(np.maximum(rng.normal(size=(images, units, 3, 4)), 0).astype(np.float32))
    return Response(maps, torch.from_numpy(rng.random((images, units)).astype(np.float32)))


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
