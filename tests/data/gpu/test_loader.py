"""The GPU's loader, run on the CPU: the very batches of the ordinary loader, ahead and in order."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ibc.config import load_config
from ibc.data.dataset import ImageDataset
from ibc.data.gpu.file_readers import FileReaders
from ibc.data.gpu.loader import GpuLoader
from ibc.data.list_file import read_list
from ibc.data.loader import TrainingOrder
from ibc.data.transform import ImageTransform
from ibc.errors import InputError
from tests.small_run import make_late, make_run

CPU = torch.device("cpu")


@pytest.fixture
def images(tmp_path):
    config = load_config(make_run(tmp_path / "data"))
    return read_list("train.txt", config.data_folder)


@pytest.mark.parametrize("crop, cache, readers", [((72, 72), "off", 2), ((72, 72), "host", 1), ((90, 72), "host", 0)])
def test_batches_are_those_of_the_ordinary_loader(images, crop, cache, readers):
    """Images of several widths (cropped one by one), cached ones, enlarged ones (of one shape: cropped together)."""
    transform = ImageTransform(crop, 100, False, train=True)
    order = TrainingOrder(len(images), 8, seed=3, start=0, stop=17)
    plain = ImageDataset(images, transform, seed=3, decoder="turbo", skip_bad=False)
    loader = GpuLoader(images, transform, CPU, seed=3, skip_bad=False, cache=cache, readers=readers)
    made = list(loader.batches(order))
    assert len(made) == 17
    for keys, batch in zip(order, made, strict=True):
        twin = plain.__getitems__(keys)
        assert torch.equal(batch.indices, twin.indices) and torch.equal(batch.labels, twin.labels)
        difference = (batch.images.int() - twin.images.int()).abs().max()
        assert difference <= (1 if crop[0] > 80 else 0)  # enlarging rounds floats here, integers there


@pytest.mark.parametrize("share, fitting", [(0, range(1)), (0.5, range(1, 19)), (2, range(19, 20))])
def test_files_too_large_for_the_shared_memory(images, monkeypatch, share, fitting):
    """Of 20 files, one missing, none, some or all fit the memory of ``share`` times their size."""
    mean = np.mean([len(Path(file).read_bytes()) for file in images.files[:20]])
    monkeypatch.setattr("ibc.data.gpu.file_batch.USUAL_FILE", int(share * mean) or 1)
    Path(images.files[5]).unlink()
    transform, order = ImageTransform((72, 72), 80, False, train=False), [[(0, index) for index in range(20)]] * 3
    loader = GpuLoader(images, transform, CPU, seed=3, skip_bad=True, readers=1)
    with FileReaders(images.files, 1, slots=1, batch_size=20) as readers:
        assert len(readers.read(0, list(range(20))).indices) in fitting
    plain = ImageDataset(images, transform, seed=3, decoder="turbo", skip_bad=True).__getitems__(order[0])
    for batch in loader.batches(order):
        assert torch.equal(batch.images, plain.images) and paths(batch) == paths(plain) == [images.files[5]]


def paths(batch):
    return [error.path for error in batch.skipped]


def test_a_bad_image_stops_it_by_name(images, tmp_path):
    bad = tmp_path / "data/images/005.jpg"
    bad.write_bytes(bad.read_bytes()[:-200])
    loader = GpuLoader(images, ImageTransform((72, 72), 80, False, train=False), CPU, seed=3, skip_bad=False)
    with pytest.raises(InputError, match=r"005\.jpg"):
        list(loader.batches([[(0, index) for index in range(first, first + 4)] for first in range(0, 12, 4)]))


def test_late_files_hold_up_no_batch_that_is_made(images, monkeypatch):
    come = make_late(Path(images.files[2]), monkeypatch)
    loader = GpuLoader(images, ImageTransform((72, 72), 80, False, train=False), CPU, seed=3, skip_bad=False, readers=2)
    batches = loader.batches([[(0, index)] for index in range(5)])
    assert [next(batches).indices.tolist() for _ in range(2)] == [[0], [1]]
    assert come()
    assert [batch.indices.tolist() for batch in batches] == [[2], [3], [4]]


def test_it_ends_with_its_iterator(images):
    loader = GpuLoader(images, ImageTransform((72, 72), 80, False, train=False), CPU, seed=3, skip_bad=False)
    batches = loader.batches([[(0, 1)]] * 10**6)
    assert next(batches).indices.tolist() == [1]
    batches.close()  # returns: the threads have ended
    with pytest.raises(StopIteration):
        next(batches)
