"""The order of visits: every image once, batches alike, groups large enough for the chance pairings."""

from types import SimpleNamespace

import pytest

from ibc.dissection.visit_plan import plan_visits


class Images:
    def __init__(self, map_sizes):
        self.records = [SimpleNamespace(map_size=size) for size in map_sizes]

    def __len__(self):
        return len(self.records)


@pytest.mark.parametrize("count", [1, 7, 63, 64, 130, 367, 1000])
@pytest.mark.parametrize(("batch", "pairings"), [(128, 21), (4, 21), (16, 101)])
def test_plan(count, batch, pairings):
    plan = plan_visits(Images([(113, 113)] * count), batch, pairings, seed=3)
    assert sorted(plan.order.tolist()) == list(range(count))
    assert [place for batch in plan.batches for place in batch] == list(range(count))
    sizes = [len(own) for own in plan.batches]
    assert max(sizes) <= batch and max(sizes) - min(sizes) <= 1
    assert [number for group in plan.groups for number in group] == list(range(len(plan.batches)))
    for group in range(len(plan.groups)):
        assert len(plan.places(group)) >= min(pairings, count)


def test_batches_have_label_maps_of_one_size():
    sizes = [(113, 113), (56, 56), (113, 112)]
    broden = Images([sizes[number % 3] for number in range(50)])
    plan = plan_visits(broden, 8, 5, seed=0)
    assert sorted(plan.order.tolist()) == list(range(50))
    for group in range(len(plan.groups)):
        places = plan.places(group)
        assert len({broden.records[index].map_size for index in plan.order[places.start : places.stop]}) == 1


def test_order_follows_the_seed():
    orders = [plan_visits(Images([(9, 9)] * 40), 8, 5, seed).order.tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != list(range(40))
