"""Streams of batches: their order, and what stops them."""

import numpy as np
import pytest
import torch

from ibc.config import load_config
from ibc.data.decode import ImageError
from ibc.data.loader import TrainingOrder, encoding_batches, images_for_testing, images_for_training, training_batches
from ibc.errors import InputError
from tests.small_run import make_run

CPU = torch.device("cpu")


@pytest.fixture
def config(tmp_path):
    return load_config(make_run(tmp_path / "data", train_attr_list_file="attributes.txt"))


def test_first_batch_order_is_a_permutation_of_the_list():
    keys = [key for batch in TrainingOrder(40, 8, 1245, 0, 10) for key in batch]
    for epoch in (0, 1):
        assert sorted(index for e, index in keys if e == epoch) == list(range(40))
    assert [i for _, i in keys[:40]] != [i for _, i in keys[40:]]
    resumed = [key for batch in TrainingOrder(40, 8, 1245, 7, 10) for key in batch]
    assert resumed == keys[7 * 8:]
    halves = [list(TrainingOrder(40, 8, 1245, 0, 10, rank, 2)) for rank in (0, 1)]
    for number in range(10):
        parts = [halves[0][number][:2], halves[1][number][:2], halves[0][number][2:], halves[1][number][2:]]
        assert np.concatenate(parts).tolist() == [list(key) for key in keys[number * 8 : number * 8 + 8]]


def test_the_attribute_list_is_repeated(config, tmp_path):
    rows = (tmp_path / "data/train.txt").read_text().splitlines()
    (tmp_path / "data/attributes.txt").write_text("\n".join(rows[:15]) + "\n")
    images, few = images_for_training(config), images_for_testing(config).names[:15]
    assert images.names == images_for_testing(config).names + few + few


def test_a_list_is_encoded_in_its_order_to_its_last_image(config):
    images = images_for_testing(config)
    batches = list(encoding_batches(config, images.subset(np.arange(19)), CPU))
    assert [len(batch.images) for batch in batches] == [8, 8, 3]
    assert torch.cat([batch.indices for batch in batches]).tolist() == list(range(19))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_read_stops_a_stream_or_is_skipped(config, tmp_path, monkeypatch, workers):
    """Its error is the same when a worker process found it."""
    config.num_workers = workers
    monkeypatch.setattr("ibc.data.loader.cores_here", lambda: 4 * workers or 1)
    (tmp_path / "data/images/011.jpg").unlink()
    images = images_for_testing(config)
    with pytest.raises(InputError, match=r"011\.jpg: No such file"):
        list(encoding_batches(config, images, CPU))
    encoded = list(encoding_batches(config, images, CPU, skip_bad=True))
    assert [len(batch.images) for batch in encoded] == [8, 7, 8, 8, 8]
    missing = ImageError(images.files[11], f"{images.files[11]}: No such file or directory")
    assert [error for batch in encoded for error in batch.skipped] == [missing]
    trained = list(training_batches(config, images, 0, CPU, skip_bad=True))
    assert {len(batch.images) for batch in trained} == {8}


def test_what_a_config_cannot_ask_for(config):
    images = images_for_testing(config)
    with pytest.raises(InputError, match="found 3 training images and batch_size 8"):
        training_batches(config, images.subset(np.arange(3)), 0, CPU)
    config.decoder = "nvjpeg"
    with pytest.raises(InputError, match="decoder: nvjpeg on the CPU"):
        encoding_batches(config, images, CPU)
