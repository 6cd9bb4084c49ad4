"""Batches of the ordinary loader: what several threads make is what one makes, image by image."""

from pathlib import Path

import pytest
import torch

from ibc.config import load_config
from ibc.data import dataset
from ibc.data.augment import crop_places, draws
from ibc.data.dataset import ImageDataset
from ibc.data.decode import decode_image
from ibc.data.list_file import read_list
from ibc.data.transform import ImageTransform, resize_shorter
from tests.small_run import make_run

KEYS = [(4, index) for index in (7, 0, 3, 12, 5, 39, 22)]


@pytest.fixture
def images(tmp_path):
    config = load_config(make_run(tmp_path / "data"))
    return read_list("train.txt", config.data_folder)


def make(images, train, threads, *, skip_bad=False, crop=(72, 72)):
    data = ImageDataset(images, ImageTransform(crop, 100, False, train=train), seed=3, decoder="turbo",
                        skip_bad=skip_bad, threads=threads)
    return data.__getitems__(KEYS)


def paths(batch):
    return [error.path for error in batch.skipped]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("threads", [1, 2, 5, 9])
def test_a_batch_is_its_images_one_by_one(images, train, threads):
    batch = make(images, train, threads, crop=(90, 72))
    table = draws(3, 4, [index for _, index in KEYS])
    assert batch.indices.tolist() == [index for _, index in KEYS] and not batch.skipped and batch.error is None
    assert torch.equal(batch.labels, torch.from_numpy(images.labels)[batch.indices])
    for (_, index), draw, made in zip(KEYS, table, batch.images, strict=True):
        image = decode_image(images.files[index])
        image = resize_shorter(image, 100) if image.shape[1] < 90 else image
        top, left, mirror = crop_places(torch.tensor([image.shape[1:]]).numpy(), (90, 72),
                                        draw[None] if train else None)[0]
        slow = image[:, top : top + 90, left : left + 72]
        assert torch.equal(made, slow.flip(-1) if mirror else slow)


@pytest.mark.parametrize("train", [True, False])
def test_large_images_are_cut_as_they_are_read(images, train, monkeypatch):
    whole = make(images, train, 2, crop=(64, 70))
    monkeypatch.setattr(dataset, "_LARGE", 0)
    monkeypatch.setattr(dataset, "crop_images", largest := Largest(dataset.crop_images))
    cut = make(images, train, 2, crop=(64, 70))
    assert torch.equal(cut.images, whole.images) and cut.images.stride() == whole.images.stride()
    assert largest.pixels == 64 * 70


@pytest.mark.parametrize("limit", [0, 1.5, 2.5])
def test_strong_crops_of_large_images_are_made_as_they_are_read(images, limit, monkeypatch):
    def strong():
        data = ImageDataset(images, ImageTransform((64, 70), 100, False, train=True, strong=True), seed=3,
                            decoder="turbo", skip_bad=False, threads=2)
        return data.__getitems__(KEYS)

    whole = strong()
    monkeypatch.setattr(dataset, "_LARGE", limit)
    cut = strong()
    assert torch.equal(cut.images, whole.images) and cut.images.stride() == whole.images.stride()
    assert type(cut.images) is torch.Tensor


class Largest:
    """``crop_images``, which notes how many pixels the largest of its images has."""

    def __init__(self, crop_images):
        self.crop_images, self.pixels = crop_images, 0

    def __call__(self, images, crop, table):
        self.pixels = max(image.shape[1] * image.shape[2] for image in images)
        assert all(image.untyped_storage().nbytes() == image.numel() for image in images)
        return self.crop_images(images, crop, table)


@pytest.mark.parametrize("threads", [1, 3])
def test_unreadable_images(images, threads):
    for index in (3, 12, 13):
        Path(images.files[index]).write_bytes(b"no image")
    error = make(images, True, threads).error  # of the first in the batch
    assert error.path == images.files[3] and images.files[3] in error.message
    tested = make(images, False, threads, skip_bad=True)
    assert tested.indices.tolist() == [7, 0, 5, 39, 22] and len(tested.images) == 5
    assert paths(tested) == [images.files[3], images.files[12]]
    trained = make(images, True, threads, skip_bad=True)  # the next readable ones take their places
    assert trained.indices.tolist() == [7, 0, 4, 14, 5, 39, 22] and len(trained.images) == 7
    assert paths(trained) == [images.files[3], images.files[12], images.files[13]]


@pytest.mark.parametrize("threads", [1, 3])
def test_nothing_readable(images, threads):
    for file in images.files:
        Path(file).unlink(missing_ok=True)
    assert "no image of the list can be read" in make(images, True, threads, skip_bad=True).error.message
    nothing = make(images, False, threads, skip_bad=True)
    assert nothing.error is None and nothing.images.shape == (0, 3, 72, 72)
    assert paths(nothing) == [images.files[index] for _, index in KEYS]
