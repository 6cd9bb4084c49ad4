"""One batch from its files, made on a CPU: as a stack or image by image, the batch of the ordinary loader."""

from collections import deque

import numpy as np
import pytest
import torch

from ibc.config import load_config
from ibc.data.dataset import ImageDataset
from ibc.data.gpu.batch_maker import BatchMaker
from ibc.data.gpu.file_batch import FileBatchReader
from ibc.data.gpu.image_cache import ImageCache
from ibc.data.list_file import read_list
from ibc.data.transform import ImageTransform
from tests.data.gpu.turbo_decoder import TurboDecoder
from tests.small_run import make_run

CPU = torch.device("cpu")


@pytest.fixture
def images(tmp_path):
    config = load_config(make_run(tmp_path / "data"))
    return read_list("train.txt", config.data_folder)


def maker_of(images, transform, cache="off"):
    return BatchMaker(images, transform, CPU, seed=3, skip_bad=False, cache=ImageCache(cache, CPU))


def bound(monkeypatch, size):
    """At most so many bytes of files, and of pixels, at once."""
    for name in ("batch_maker.PORTION", "file_batch.PORTION", "resize.RESIZED_TOGETHER"):
        monkeypatch.setattr(f"ibc.data.gpu.{name}", size)


@pytest.mark.parametrize("portion", [16 << 20, 5000])  # bytes; 5000 are less than the files of a batch
@pytest.mark.parametrize("crop", [(72, 72), (90, 72)])
def test_a_batch_of_one_size_is_cropped_and_enlarged_as_a_whole(images, crop, portion, monkeypatch):
    bound(monkeypatch, portion)
    alike = [index for index in range(40) if index % 5 == 2]
    mixed = list(range(12))
    for train in (True, False):
        transform = ImageTransform(crop, 100, False, train=train)
        plain = ImageDataset(images, transform, seed=3, decoder="turbo", skip_bad=False)
        maker = maker_of(images, transform)
        one_by_one = deque()
        monkeypatch.setattr(maker, "_image_by_image",
                            lambda asked, *rest, maker=maker, one_by_one=one_by_one:
                            one_by_one.append(asked) or BatchMaker._image_by_image(maker, asked, *rest))
        for indices in (alike, mixed):
            keys = [(4, index) for index in indices]
            files = maker.reader.read(indices, 1 << 30)
            decoder = TurboDecoder()
            batch, twin = maker.make(keys, files, decoder), plain.__getitems__(keys)
            assert (decoder.calls == 1) == (portion > files.starts[-1])
            assert torch.equal(batch.indices, twin.indices) and torch.equal(batch.labels, twin.labels)
            assert (batch.images.int() - twin.images.int()).abs().max() <= (1 if crop[0] > 80 else 0)
        assert list(one_by_one) == [mixed]


def test_a_batch_is_decoded_in_parts_of_bounded_size(images, monkeypatch):
    files = FileBatchReader(images.files).read(list(range(12)), 1 << 30)
    assert [part.tolist() for part in files.portions()] == [list(range(12))]
    bound(monkeypatch, int(files.starts[-1]) // 3)
    parts = [part.tolist() for part in files.portions()]
    assert 3 <= len(parts) <= 4 and [place for part in parts for place in part] == list(range(12))
    maker = maker_of(images, ImageTransform((90, 72), 100, False, train=False))
    keys = [(0, index) for index in range(12)]
    in_parts = maker.make(keys, files).images
    few = maker.reader.read(list(range(12)), 1)  # as a worker does with what does not fit
    assert few.indices == [0] and few.left == list(range(1, 12))
    left_over = maker.make(keys, few).images
    monkeypatch.undo()
    whole = maker.make(keys, files).images
    assert torch.equal(in_parts, whole) and torch.equal(left_over, whole)


@pytest.mark.parametrize("decoder", [None, TurboDecoder()])
def test_cached_images_give_the_batch_that_their_files_give(images, decoder):
    maker = maker_of(images, ImageTransform((90, 72), 100, False, train=True), cache="host")
    keys = [(1, index) for index in (4, 9, 14, 19)]  # of one size
    files = maker.reader.read([index for _, index in keys], 1 << 30)
    first = maker.make(keys, files, decoder)
    assert all(index in maker.cache for _, index in keys) and maker.cache.get(5) is None
    nothing = maker.reader.read([], 1 << 30)
    assert np.array_equal(maker.make(keys, nothing, decoder).images, first.images)
