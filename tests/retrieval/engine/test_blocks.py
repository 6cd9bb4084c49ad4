"""Rankings run block by block: the torch engine gives what the compiled kernels give."""

import numpy as np
import pytest
import torch

from ibc.retrieval.average_precision import ORDERS
from ibc.retrieval.engine.blocks import blocks, torch_blocks
from ibc.retrieval.engine.ranking import make_ranking
from tests.retrieval.slow_ranking import random_case


@pytest.mark.parametrize("self_match", ["keep", "exclude", "hit", None])
@pytest.mark.parametrize("kind", ["signs", "zeros", "several labels", "masked queries"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_torch_engine_gives_the_same(self_match, kind, device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    signs, labels, _, _ = random_case(11, 90, 1, 70, 5, 0.05 if kind == "zeros" else 0)
    queries = signs.copy()
    if kind == "masked queries":
        queries[:, 9:] = 0
    if kind == "several labels":
        labels = np.random.default_rng(1).random((90, 6)) < 0.2
    cutoffs, points = np.array([2**31 - 1, 10, 500]), np.array([1, 20, 500])
    ranking = make_ranking(queries, labels, signs, labels, self_match)
    ours = list(blocks(ranking, cutoffs, points, "cpu"))
    theirs = list(torch_blocks(ranking, cutoffs, points, torch.device(device), block_pairs=90 * 40))
    assert len(theirs) == 3
    for order in ORDERS:
        assert np.allclose(*(np.concatenate([block.sums[order] for block in blocks]) for blocks in (ours, theirs)),
                           rtol=0, atol=1e-12)
    for order in ("stable", "expected"):
        assert np.allclose(*(np.concatenate([block.hits[order] for block in blocks]) for blocks in (ours, theirs)),
                           rtol=0, atol=1e-12)
    for name in ("pairs", "relevant_pairs"):
        assert np.array_equal(*(sum(getattr(block, name) for block in blocks) for blocks in (ours, theirs)))
    assert np.array_equal(*(np.concatenate([block.relevant for block in blocks]) for blocks in (ours, theirs)))
    assert np.allclose(*(sum(block.within for block in blocks) for blocks in (ours, theirs)), rtol=1e-12, atol=0)
