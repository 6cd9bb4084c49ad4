"""The GPU's loader, run on the CPU: the very batches of the ordinary loader, ahead and in order."""

import pytest
import torch

from ibc.config import load_config
from ibc.data.dataset import ImageDataset, Pixels
from ibc.data.gpu_loader import GpuLoader, cut_all
from ibc.data.list_file import read_list
from ibc.data.loader import TrainingOrder
from ibc.errors import InputError
from tests.small_run import make_run

CPU = torch.device("cpu")


@pytest.fixture
def images(tmp_path):
    config = load_config(make_run(tmp_path / "data"))
    return read_list("train.txt", config.data_folder)


@pytest.mark.parametrize("crop, cache", [((72, 72), "off"), ((72, 72), "host"), ((90, 72), "off")])
def test_batches_are_those_of_the_ordinary_loader(images, crop, cache):
    """Pictures of several widths (cut one by one), cached ones, enlarged ones (shapes alike: cut together)."""
    pixels = Pixels(crop, 100, False, train=True)
    order = TrainingOrder(len(images), 8, seed=3, start=0, stop=17)
    plain = ImageDataset(images, pixels, seed=3, decoder="turbo", skip_bad=False)
    made = list(GpuLoader(images, pixels, CPU, seed=3, skip_bad=False, cache=cache).batches(order))
    assert len(made) == 17
    for keys, batch in zip(order, made, strict=True):
        twin = plain.__getitems__(keys)
        assert torch.equal(batch.indices, twin.indices) and torch.equal(batch.labels, twin.labels)
        difference = (batch.images.int() - twin.images.int()).abs().max()
        assert difference <= (1 if crop[0] > 80 else 0)  # enlarging rounds floats here, integers there


def test_one_gather_cuts_as_slices_do():
    stack = torch.randint(0, 256, (5, 3, 20, 30), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    places = [(0, 0, False), (3, 10, True), (8, 5, True), (1, 2, False), (4, 7, True)]
    slow = [picture[:, top : top + 12, left : left + 20] for picture, (top, left, _) in zip(stack, places, strict=True)]
    slow = torch.stack([part.flip(-1) if mirror else part for part, (_, _, mirror) in zip(slow, places, strict=True)])
    assert torch.equal(cut_all(stack, places, (12, 20)), slow)


def test_a_bad_image_stops_it_by_name(images, tmp_path):
    bad = tmp_path / "data/images/005.jpg"
    bad.write_bytes(bad.read_bytes()[:-200])
    loader = GpuLoader(images, Pixels((72, 72), 80, False, train=False), CPU, seed=3, skip_bad=False)
    with pytest.raises(InputError, match=r"005\.jpg"):
        list(loader.batches([[(0, index) for index in range(first, first + 4)] for first in range(0, 12, 4)]))


def test_it_ends_with_its_iterator(images):
    loader = GpuLoader(images, Pixels((72, 72), 80, False, train=False), CPU, seed=3, skip_bad=False)
    batches = loader.batches([[(0, 1)]] * 10**6)
    assert next(batches).indices.tolist() == [1]
    batches.close()  # returns: the threads have ended
    with pytest.raises(StopIteration):
        next(batches)
