"""The dissection table by hand: IoU, what names a unit, chance, order, and what counts as interpretable."""

import numpy as np
import pytest

from ibc.dissection import tally as module
from ibc.dissection.counting.counts import Counts
from ibc.dissection.tally import Alignment, Tally, best_by_chance

CATEGORIES, NAMES = ["color", "object"], ["red", "blue", "car", "road"]
PRIMARY, TRUTH = np.array([0, 0, 1, 1]), np.array([10, 20, 30, 40])
BOTH = np.array([[5, 0, 6, 0], [0, 4, 0, 0], [0, 0, 0, 0], [5, 0, 5, 0]])
ACTIVATION = np.array([[10, 12], [8, 0], [3, 3], [10, 15]])
IOU = [[5 / 15, 0, 6 / 36, 0], [0, 4 / 24, 0, 0], [0, 0, 0, 0], [5 / 15, 0, 5 / 40, 0]]


def tally(null=((0.1, 0.2), (0.3, 0.1), (0.0, 0.0), (0.2, 0.3))) -> Tally:
    empty = np.zeros((4, 0))
    return Tally("conv_last", np.arange(1, 5), np.ones(4), 0.0, CATEGORIES, NAMES, PRIMARY, BOTH, ACTIVATION, TRUTH,
                 np.full(4, 100), np.array(null).reshape(4, -1), empty, empty, empty, [], 5)


def test_iou_and_what_names_a_unit():
    found = tally()
    assert np.allclose(found.iou, IOU, rtol=1e-9)
    assert found.best_label.tolist() == [[0, 2], [1, 0], [0, 0], [0, 2]]  # label 0 where nothing overlaps
    assert [NAMES[label] for label in found.label[[0, 1, 3]]] == ["red", "blue", "red"]
    assert found.score.tolist() == pytest.approx([1 / 3, 1 / 6, 0, 1 / 3])
    assert found.category.tolist() == [0, 0, 1, 0]  # the later category of equals
    assert found.by_score.tolist() == [3, 0, 1, 2]  # the higher unit of equals


def test_chance_and_interpretable_units():
    found = tally()
    assert found.chance.tolist() == [0.2, 0.3, 0.0, 0.3]
    assert found.beats_chance.tolist() == found.interpretable("chance").tolist() == [True, False, False, True]
    assert found.interpretable(float(found.score[1])).tolist() == [True, True, False, True]
    assert not found.interpretable(0.0)[2]  # a score of 0 names nothing
    assert found.coverage(0.1) == {"color": (3, 2), "object": (0, 0), "all": (3, 2)}
    assert np.isnan(tally(null=((), (), (), ())).chance).all() and not tally(null=((), (), (), ())).beats_chance.any()


@pytest.mark.parametrize("entries", [1, 24, 30, 2**21])
def test_chance_levels_do_not_depend_on_how_many_units_are_done_at_once(monkeypatch, entries):
    random = np.random.default_rng(0)
    both, activation = random.integers(0, 9, (5, 3, 4)), random.integers(20, 40, (5, 3, 2))
    monkeypatch.setattr(module, "ENTRIES_AT_ONCE", entries)
    counts = Counts(both, activation, np.full(5, 100))
    wanted = [[max(both[unit, pairing, label] / (activation[unit, pairing, PRIMARY[label]] + TRUTH[label]
                                                 - both[unit, pairing, label]) for label in range(4))
               for pairing in (1, 2)] for unit in range(5)]
    assert np.allclose(best_by_chance(counts, TRUTH, PRIMARY), wanted, rtol=1e-9)


def test_overlap_of_bit_and_filter():
    found = Alignment(np.zeros(3), np.array([6, 0, 1]), np.array([5, 0, 0]), np.array([3, 0, 0]))
    assert found.iou.tolist() == [3 / 8, 0, 0]
    assert Alignment(np.zeros(1), np.array([1]), np.array([1]), np.array([1])).iou.tolist() == [1]
