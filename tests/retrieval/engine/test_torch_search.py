"""The search in torch gives what the compiled kernels give."""

import numpy as np
import pytest
import torch

from ibc.retrieval.engine.plane_search import search_planes
from ibc.retrieval.engine.planes import BitPlanes
from ibc.retrieval.engine.queries import make_queries
from ibc.retrieval.engine.torch_search import DeviceDatabase, search_torch


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("kind", ["masks", "undecided", "weights", "few weighted bits"])
@pytest.mark.parametrize("top", [1, 30, 400, 6000])
def test_equal_to_the_planes(device, kind, top):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    random = np.random.default_rng(top)
    db = np.where(random.random((6000, 40)) < 0.5, -1, 1).astype(np.int8)
    if kind == "undecided":
        db[3000:][random.random((3000, 40)) < 0.05] = 0
    stores = [BitPlanes(40), BitPlanes(40)]
    stores[0].append(db[:2500])
    stores[1].append(db[2500:])
    signs = random.integers(-1, 2, (7, 40))
    signs[:, 0] = 1
    if kind == "few weighted bits":
        signs[:, 3:] = 0
    queries = make_queries(signs, None, random.random(40) if "weight" in kind else None, 40)
    ours = search_planes(stores, queries, top)
    database = DeviceDatabase(stores, torch.device(device), part_items=2048)
    theirs = search_torch(database, stores, queries, top, block_pairs=3 * 2048)
    for (rows, values), (their_rows, their_values) in zip(ours, theirs, strict=True):
        assert np.array_equal(rows, their_rows) and np.array_equal(values, their_values)
