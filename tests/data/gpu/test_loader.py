"""The GPU's loader, run on the CPU: the very batches of the ordinary loader, ahead and in order."""

import os
import subprocess
import sys
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import torch

from ibc.config import load_config
from ibc.data.augment import crop_images, crop_places, draws
from ibc.data.dataset import ImageDataset, ImageTransform
from ibc.data.decode import decode_image
from ibc.data.gpu.crop import crop_stack
from ibc.data.gpu.file_batch import FileBatchReader
from ibc.data.gpu.file_readers import FileReaders
from ibc.data.gpu.loader import GpuLoader, portions
from ibc.data.list_file import read_list
from ibc.data.loader import TrainingOrder
from ibc.errors import InputError
from tests.small_run import make_late, make_run

CPU = torch.device("cpu")


@pytest.fixture
def images(tmp_path):
    config = load_config(make_run(tmp_path / "data"))
    return read_list("train.txt", config.data_folder)


@pytest.mark.parametrize("crop, cache, readers", [((72, 72), "off", 2), ((72, 72), "host", 1), ((90, 72), "host", 0)])
def test_batches_are_those_of_the_ordinary_loader(images, crop, cache, readers):
    """Pictures of several widths (cut one by one), cached ones, enlarged ones (shapes alike: cut together)."""
    pixels = ImageTransform(crop, 100, False, train=True)
    order = TrainingOrder(len(images), 8, seed=3, start=0, stop=17)
    plain = ImageDataset(images, pixels, seed=3, decoder="turbo", skip_bad=False)
    loader = GpuLoader(images, pixels, CPU, seed=3, skip_bad=False, cache=cache, readers=readers)
    made = list(loader.batches(order))
    assert len(made) == 17
    for keys, batch in zip(order, made, strict=True):
        twin = plain.__getitems__(keys)
        assert torch.equal(batch.indices, twin.indices) and torch.equal(batch.labels, twin.labels)
        difference = (batch.images.int() - twin.images.int()).abs().max()
        assert difference <= (1 if crop[0] > 80 else 0)  # enlarging rounds floats here, integers there


class TurboDecoder:
    """Gives what nvJPEG gives, made by libjpeg-turbo."""

    calls = 0

    def decode(self, data, begins, lengths, sizes):
        self.calls += 1
        pictures = [decode_image(data[begin : begin + length].numpy().tobytes())
                    for begin, length in zip(begins, lengths, strict=True)]
        assert [list(picture.shape[1:]) for picture in pictures] == sizes.tolist()
        return torch.stack(pictures) if (sizes == sizes[0]).all() else pictures


@pytest.mark.parametrize("portion", [16 << 20, 5000])  # bytes; 5000 are less than the files of a batch
@pytest.mark.parametrize("crop", [(72, 72), (90, 72)])
def test_a_batch_of_one_size_is_cut_and_enlarged_as_a_whole(images, crop, portion, monkeypatch):
    monkeypatch.setattr("ibc.data.gpu.loader.PORTION", portion)
    alike = [index for index in range(40) if index % 5 == 2]
    mixed = list(range(12))
    for train in (True, False):
        pixels = ImageTransform(crop, 100, False, train=train)
        plain = ImageDataset(images, pixels, seed=3, decoder="turbo", skip_bad=False)
        loader = GpuLoader(images, pixels, CPU, seed=3, skip_bad=False)
        one_by_one = deque()
        monkeypatch.setattr(loader, "_one_by_one",
                            lambda asked, *rest, loader=loader, one_by_one=one_by_one:
                            one_by_one.append(asked) or GpuLoader._one_by_one(loader, asked, *rest))
        for indices in (alike, mixed):
            keys = [(4, index) for index in indices]
            contents = loader.reader.read(indices, 1 << 30)
            decoder = TurboDecoder()
            batch, twin = loader.make(keys, contents, decoder), plain.__getitems__(keys)
            assert (decoder.calls == 1) == (portion > contents.starts[-1])
            assert torch.equal(batch.indices, twin.indices) and torch.equal(batch.labels, twin.labels)
            assert (batch.images.int() - twin.images.int()).abs().max() <= (1 if crop[0] > 80 else 0)
        assert list(one_by_one) == [mixed]


@pytest.mark.parametrize("places", [
    [(0, 0, 0), (3, 10, 1), (8, 5, 1), (1, 2, 0), (4, 7, 1)],
    [(4, 5, 0)] * 5, [(4, 5, 1)] * 5, [(4, 5, 0)] * 4 + [(4, 6, 0)],
])
def test_a_batch_is_cut_as_a_whole_as_slices_are(places):
    stack = torch.randint(0, 256, (5, 3, 20, 30), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    slow = [picture[:, top : top + 12, left : left + 20] for picture, (top, left, _) in zip(stack, places, strict=True)]
    slow = torch.stack([part.flip(-1) if mirror else part for part, (_, _, mirror) in zip(slow, places, strict=True)])
    fast = crop_stack(stack, np.array(places), (12, 20))
    assert torch.equal(fast, slow) and fast.is_contiguous(memory_format=torch.channels_last)


def test_crops_of_a_batch_are_those_of_its_pictures():
    sizes = np.array([[20, 30], [12, 20], [13, 21], [40, 25]])
    table = draws(3, 5, [0, 1, 2, 7])
    assert {bool(mirror) for mirror in table[:, 0] < 0.5} == {True, False}
    for (height, width), draw, place in zip(sizes, table, crop_places(sizes, (12, 20), table), strict=True):
        picture = torch.arange(height * width).view(1, height, width)
        whole = picture.flip(-1) if draw[0] < 0.5 else picture
        top, left = int(draw[1] * (height - 12 + 1)), int(draw[2] * (width - 20 + 1))
        slow = whole[:, top : top + 12, left : left + 20]
        top, left, mirror = place
        fast = picture[:, top : top + 12, left : left + 20]
        assert torch.equal(fast.flip(-1) if mirror else fast, slow)
        assert torch.equal(crop_images([picture], (12, 20), draw[None])[0], slow)
    assert crop_places(sizes, (12, 20), None).tolist() == [
        [round((height - 12) / 2), round((width - 20) / 2), 0] for height, width in sizes.tolist()]


def test_a_batch_is_decoded_in_parts_of_bounded_size(images, monkeypatch):
    contents = FileBatchReader(images.files).read(list(range(12)), 1 << 30)
    assert [part.tolist() for part in portions(contents)] == [list(range(12))]
    monkeypatch.setattr("ibc.data.gpu.loader.PORTION", int(contents.starts[-1]) // 3)
    parts = [part.tolist() for part in portions(contents)]
    assert 3 <= len(parts) <= 4 and [place for part in parts for place in part] == list(range(12))
    loader = GpuLoader(images, ImageTransform((90, 72), 100, False, train=False), CPU, seed=3, skip_bad=False)
    cut_in_parts = loader.make([(0, index) for index in range(12)], contents).images
    few = loader.reader.read(list(range(12)), 1)  # as a worker does with what does not fit
    assert few.indices == [0] and few.left == list(range(1, 12))
    left_over = loader.make([(0, index) for index in range(12)], few).images
    monkeypatch.undo()
    whole = loader.make([(0, index) for index in range(12)], contents).images
    assert torch.equal(cut_in_parts, whole) and torch.equal(left_over, whole)


@pytest.mark.parametrize("share, fitting", [(0, range(1)), (0.5, range(1, 19)), (2, range(19, 20))])
def test_files_too_large_for_the_shared_memory(images, monkeypatch, share, fitting):
    """Of 20 files, one missing, none, some or all fit the memory of ``share`` times their size."""
    mean = np.mean([len(Path(file).read_bytes()) for file in images.files[:20]])
    monkeypatch.setattr("ibc.data.gpu.file_batch.USUAL_FILE", int(share * mean) or 1)
    Path(images.files[5]).unlink()
    pixels, order = ImageTransform((72, 72), 80, False, train=False), [[(0, index) for index in range(20)]] * 3
    loader = GpuLoader(images, pixels, CPU, seed=3, skip_bad=True, readers=1)
    with FileReaders(images.files, 1, slots=1, batch_size=20) as readers:
        assert len(readers.read(0, list(range(20))).indices) in fitting
    plain = ImageDataset(images, pixels, seed=3, decoder="turbo", skip_bad=True).__getitems__(order[0])
    for batch in loader.batches(order):
        assert torch.equal(batch.images, plain.images) and batch.bad == plain.bad == [images.files[5]]


def test_a_bad_image_stops_it_by_name(images, tmp_path):
    bad = tmp_path / "data/images/005.jpg"
    bad.write_bytes(bad.read_bytes()[:-200])
    loader = GpuLoader(images, ImageTransform((72, 72), 80, False, train=False), CPU, seed=3, skip_bad=False)
    with pytest.raises(InputError, match=r"005\.jpg"):
        list(loader.batches([[(0, index) for index in range(first, first + 4)] for first in range(0, 12, 4)]))


def test_late_files_hold_up_no_batch_that_is_made(images):
    come = make_late(Path(images.files[2]))
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


@pytest.mark.parametrize("given, found", [({}, "32"), ({"CUDA_DEVICE_MAX_CONNECTIONS": "8"}, "8")])
def test_cuda_starts_with_a_hardware_queue_for_every_stream(given, found, root):
    """Commands set it before anything can start CUDA, unless the user says otherwise."""
    others = {name: value for name, value in os.environ.items() if name != "CUDA_DEVICE_MAX_CONNECTIONS"}
    look = ("import os, sys, ibc.device; ibc.device.tune_process(); "
            "print(os.environ['CUDA_DEVICE_MAX_CONNECTIONS'], 'torch' in sys.modules)")
    result = subprocess.run([sys.executable, "-c", look], cwd=root, env=others | given, text=True, check=True,
                            capture_output=True)
    assert result.stdout.split() == [found, "False"]
