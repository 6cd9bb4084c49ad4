"""The processes that decode for one GPU, here on the CPU: same batches, same messages, nobody left behind."""

import numpy as np
import pytest
import torch

from ibc.config import load_config
from ibc.data.dataset import ImageDataset, Pixels
from ibc.data.gpu_workers import GpuWorkers
from ibc.data.list_file import read_list
from ibc.data.loader import TrainingOrder
from ibc.errors import InputError
from tests.small_run import make_run

PIXELS = Pixels((72, 72), 80, False, train=True)


@pytest.fixture
def images(tmp_path):
    config = load_config(make_run(tmp_path / "data"))
    return read_list("train.txt", config.data_folder)


def workers(images, **changes):
    options = {"seed": 3, "skip_bad": False, "count": 2, **changes}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return GpuWorkers(images, PIXELS, device, **options)


def test_batches_are_those_of_the_cpu_loader_in_order(images):
    order = TrainingOrder(len(images), 8, seed=3, start=0, stop=11)
    plain = ImageDataset(images, PIXELS, seed=3, decoder="turbo", skip_bad=False)
    made = list(workers(images).batches(order))
    assert len(made) == 11
    for keys, batch in zip(order, made, strict=True):
        twin = plain.__getitems__(keys)
        assert torch.equal(batch.indices, twin.indices) and torch.equal(batch.labels, twin.labels)
        difference = (batch.images.cpu().int() - twin.images.int()).abs().float().mean()
        assert difference == 0 if batch.images.device.type == "cpu" else difference < 4


def test_fewer_batches_than_processes(images):
    [batch] = workers(images, count=3).batches([[(0, 1), (0, 5)]])
    assert batch.indices.tolist() == [1, 5]


def test_a_bad_image_is_named_or_left_out(images, tmp_path):
    bad = tmp_path / "data/images/005.jpg"
    bad.write_bytes(bad.read_bytes()[:-200])
    order = [[(0, index) for index in range(first, first + 4)] for first in range(0, 12, 4)]
    with pytest.raises(InputError, match=r"005\.jpg"):
        list(workers(images).batches(order))
    kept = list(workers(images, skip_bad=True).batches(order))
    assert [path[-7:] for batch in kept for path in batch.bad] == ["005.jpg"]
    assert all(len(batch.images) == 4 for batch in kept)  # in training the next one takes its place


def test_processes_end_with_the_iterator_and_one_that_dies_is_noticed(images, monkeypatch):
    from ibc.data import gpu_workers

    started = []
    popen = gpu_workers.subprocess.Popen
    monkeypatch.setattr(gpu_workers.subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    endless = [[(epoch, index) for index in range(8)] for epoch in range(1000)]
    batches = workers(images).batches(endless)
    next(batches)
    batches.close()
    assert len(started) == 2 and all(process.returncode == 0 for process in started)
    batches = workers(images).batches(endless)
    next(batches)
    started[-1].kill()
    with pytest.raises(RuntimeError, match="ended unexpectedly"):
        list(batches)
    assert all(process.returncode is not None for process in started)
    assert np.unique([process.pid for process in started]).size == 4
