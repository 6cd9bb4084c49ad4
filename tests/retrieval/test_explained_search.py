"""Results with reasons: which bits agree, and equal weighted distances in database order."""

import numpy as np

from ibc.retrieval.bit_choice import all_bits
from ibc.retrieval.bit_names import BitName
from ibc.retrieval.explained_search import agreement, counted, distance_text, explained_search, summable
from ibc.retrieval.wishes import Query

NAMES = [BitName(0, "sea", "scene", 0.3, None, None), BitName(1, "sea", "scene", 0.2, None, None),
         BitName(2, "dog", "object", 0.2, None, None)]


def test_agreeing_and_differing_bits():
    query = Query(np.array([1, 1, -1, 1], np.int8), np.ones(4))
    database = np.array([[1, 1, -1, 1], [1, -1, 1, 0], [-1, -1, -1, -1]], np.int8)
    ranked = explained_search(database, query, all_bits(4, NAMES), 9)
    assert [(hit.row, hit.distance) for hit in ranked.hits] == [(0, 0), (1, 2.5), (2, 3)]
    assert [agreement(hit, ranked) for hit in ranked.hits] == [
        ("sea ×2, dog, bit 4", ""), ("sea", "−sea, +dog"), ("dog", "−sea ×2, −bit 4")]
    assert (ranked.whole, ranked.total) == (False, 4)
    assert counted(["a", "b", "a", "c", "d"], 2) == "a ×2, b +2"
    assert [distance_text(2.5, False), distance_text(3.0, False), distance_text(1 / 3, False)] == ["2.5", "3", "0.333"]


def test_equal_sums_are_in_database_order():
    random = np.random.default_rng(0)
    weights = np.concatenate([np.full(3, 0.1), np.full(3, 1 / 3), random.random(6)])
    database = np.array([np.roll([1, -1, -1], shift).tolist() + [1] * 9 for shift in (2, 1, 0)] * 5, np.int8)
    query = Query(np.ones(12, np.int8), weights)
    ranked = explained_search(database, query, all_bits(12, []), 15)
    assert [hit.row for hit in ranked.hits] == list(range(15))
    assert len({hit.distance for hit in ranked.hits}) == 1
    assert np.allclose(summable(weights), weights, rtol=1e-8)
    assert summable(np.array([0.25, 1, 3])).tolist() == [0.25, 1, 3]
