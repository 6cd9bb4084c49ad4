"""One convention for images that cannot be read: the CPU's loader and the GPU's (run on a CPU) say the same."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ibc.data.batch import Batch
from ibc.data.dataset import ImageDataset
from ibc.data.decode import ImageError, decode_image, try_to_decode
from ibc.data.gpu.loader import GpuLoader
from ibc.data.list_file import ImageList
from ibc.data.transform import ImageTransform
from ibc.errors import InputError
from tests.data.test_jpeg import jpeg

WHOLE, PNG = jpeg(96, 80), jpeg(96, 80, kind="PNG")
DAMAGED = {  # name -> content, and how the message goes on after the path
    "missing.jpg": (None, "No such file or directory"),
    "folder.jpg": ("folder", "Is a directory"),
    "empty.jpg": (b"", "an empty file"),
    "text.jpg": (b"not an image", "found data that is not an image, expected a JPEG, PNG or other picture"),
    "short.jpg": (WHOLE[:-200], "found a broken image (image file is truncated"),
    "short.png": (PNG[:-200], "found a broken image ("),
    "inside.jpg": (b"\xff\xd8\xff" + bytes(99) + b"\xff\xd9", "found "),
}
IN_ZIP = {"hole.jpg": "found no header where the archive's directory says, expected a whole member"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The damaged files at every second place among good ones; then two members of a zip, one of them damaged."""
    folder = tmp_path_factory.mktemp("damaged")
    files = []
    for name, (content, _) in DAMAGED.items():
        if content == "folder":
            (folder / name).mkdir()
        elif content is not None:
            (folder / name).write_bytes(content)
        files += [str(folder / name), str(folder / f"good for {name}")]
        Path(files[-1]).write_bytes(jpeg(96, 80, seed=len(files)))
    with zipfile.ZipFile(folder / "some.zip", "w") as archive:
        archive.writestr("hole.jpg", WHOLE)
        archive.writestr("good.jpg", WHOLE)
    content = bytearray((folder / "some.zip").read_bytes())
    content[:4] = bytes(4)
    (folder / "some.zip").write_bytes(content)
    return [*files, f"{folder}/some.zip:hole.jpg", f"{folder}/some.zip:good.jpg"]


def from_cpu(images, order, *, train, skip_bad, threads):
    dataset = ImageDataset(images, ImageTransform((72, 72), 80, False, train=train), seed=3, decoder="turbo",
                           skip_bad=skip_bad, threads=threads)
    return [dataset.__getitems__(keys).checked() for keys in order]


def from_gpu_loader(images, order, *, train, skip_bad, threads):
    loader = GpuLoader(images, ImageTransform((72, 72), 80, False, train=train), torch.device("cpu"), seed=3,
                       skip_bad=skip_bad, readers=threads - 1)
    return list(loader.batches(order))


WAYS = [from_cpu, from_gpu_loader]


def list_of(files):
    return ImageList(files, files, np.zeros((len(files), 1), np.float32))


@pytest.mark.parametrize("name", [*DAMAGED, *IN_ZIP])
def test_the_same_damage_gives_the_same_message(files, name):
    (file,) = [file for file in files if file.endswith((f"/{name}", f":{name}"))]
    messages = set()
    for way in WAYS:
        for threads in (1, 2):
            with pytest.raises(InputError) as raised:
                way(list_of([files[1], file, files[3]]), [[(0, 0), (0, 1), (0, 2)]], train=True, skip_bad=False,
                    threads=threads)
            messages.add(str(raised.value))
    (message,) = messages
    assert message.startswith(f"{file}: {IN_ZIP.get(name) or DAMAGED[name][1]}")


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_images_are_skipped_or_replaced(files, train, threads):
    order = [[(2, index) for index in range(8)], [(2, index) for index in range(8, len(files))]]
    plain, other = (way(list_of(files), order, train=train, skip_bad=True, threads=threads) for way in WAYS)
    for one, twin in zip(plain, other, strict=True):
        assert isinstance(one, Batch) and type(one) is type(twin) and one.error is None
        assert torch.equal(one.images, twin.images) and torch.equal(one.indices, twin.indices)
        assert one.skipped == twin.skipped and all(isinstance(error, ImageError) for error in one.skipped)
        assert len(one.images) == (8 if train else 4)
    damaged = [error.path for batch in plain for error in batch.skipped]
    assert damaged == [file for place, file in enumerate(files) if place % 2 == 0]


@pytest.mark.parametrize("way", WAYS)
def test_the_first_in_the_batch_is_named(files, way):
    """In the order of the batch, whatever is wrong with them."""
    for order in ([4, 0, 8], [8, 4, 0], [0, 8, 4]):
        with pytest.raises(InputError) as raised:
            way(list_of(files), [[(0, index) for index in order]], train=False, skip_bad=False, threads=1)
        assert str(raised.value).startswith(f"{files[order[0]]}: ")


@pytest.mark.parametrize("way", WAYS)
def test_a_list_of_which_nothing_can_be_read(tmp_path, way):
    files = [str(tmp_path / f"{number}.jpg") for number in range(4)]
    order = [[(0, index) for index in range(4)]]
    with pytest.raises(InputError) as raised:
        way(list_of(files), order, train=True, skip_bad=True, threads=1)
    assert str(raised.value) == f"{files[0]}: no image of the list can be read"
    (batch,) = way(list_of(files), order, train=False, skip_bad=True, threads=1)
    assert batch.images.shape == (0, 3, 72, 72) and [error.path for error in batch.skipped] == files


def test_an_error_is_a_value(files):
    error = try_to_decode(files[0], files[0])
    assert error == ImageError(files[0], f"{files[0]}: No such file or directory")
    assert pickle.loads(pickle.dumps(error)) == error
    with pytest.raises(InputError, match="No such file"):
        decode_image(files[0])
    with pytest.raises(InputError, match="name of it: found data that is not an image"):
        decode_image(b"text", name="name of it")
    with pytest.raises(InputError, match="No such file"):
        Batch.failed(error).checked()
