"""Images and label maps of a plan, read in this process or by workers."""

from types import SimpleNamespace

import numpy as np
import pytest

from ibc.dissection import load_broden
from ibc.dissection.reading import BrodenReader, input_size
from ibc.dissection.visit_plan import plan_visits
from ibc.errors import InputError
from tests.dissection.data import IMAGE, write_broden


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
def test_a_bad_image_in_a_worker_is_one_line(tmp_path, workers):
    broden = load_broden(write_broden(tmp_path / "broden", count=24))
    (tmp_path / "broden" / "images" / "i9.png").write_bytes(b"no image")
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
