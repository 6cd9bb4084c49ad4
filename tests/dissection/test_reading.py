"""The order of visits: every image once, batches alike, groups large enough for the chance pairings."""

from types import SimpleNamespace

import numpy as np
import pytest

from ibc.dissection import load_broden
from ibc.dissection.reading import BrodenReader, input_size
from ibc.dissection.visit_plan import plan_visits
from ibc.errors import InputError
from tests.dissection.data import IMAGE, write_broden


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


@pytest.fixture(scope="module")
def broden(tmp_path_factory):
    return load_broden(write_broden(tmp_path_factory.mktemp("data") / "broden", count=24))


@pytest.mark.parametrize("workers", [0, 2])
def test_reader(broden, workers):
    plan = plan_visits(broden, 2, 3, seed=0)
    reader = BrodenReader(broden, plan, IMAGE, workers, workers)
    for number, batch in enumerate(reader.image_batches(range(len(plan.batches)))):
        for image, index in zip(batch, plan.images(number), strict=True):
            np.testing.assert_array_equal(image, broden.read_image(index))
    for number, group in enumerate(reader.label_groups(range(len(plan.groups)))):
        places = plan.places(number)
        assert len(group) == len(places)
        for place, index in enumerate(plan.order[places.start : places.stop]):
            np.testing.assert_array_equal(group.planes[group.image_of_plane == place], broden.read_planes(index))
            assert group.scalars[place] == broden.records[index].scalars


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_picture_in_a_worker_is_one_line(tmp_path, workers):
    broden = load_broden(write_broden(tmp_path / "broden", count=24))
    (tmp_path / "broden" / "images" / "i9.png").write_bytes(b"no picture")
    plan = plan_visits(broden, 2, 3, seed=0)
    with pytest.raises(InputError, match=r"index.csv:11: .*i9.png: found data that is not an image") as caught:
        list(BrodenReader(broden, plan, IMAGE, workers, workers).image_batches(range(len(plan.batches))))
    assert "\n" not in str(caught.value)


def test_size_of_the_input(broden):
    assert input_size(broden, None) == IMAGE
    assert input_size(broden, (9, 9)) == (9, 9)
    mixed = SimpleNamespace(image_sizes=[(9, 9), (8, 8)], folder=broden.folder, index_file="index.csv")
    with pytest.raises(InputError, match="choose it by --image_size"):
        input_size(mixed, None)
