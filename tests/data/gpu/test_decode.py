"""One place decodes: nvJPEG (here a stand-in) what it takes, the CPU the rest; errors are values in their place."""

import numpy as np
import pytest
import torch

from ibc.data.decode import ImageError, decode_image
from ibc.data.gpu.decode import decode_files
from ibc.data.gpu.file_batch import FileBatchReader
from ibc.data.gpu.nvjpeg import NvjpegError
from tests.data.gpu.turbo_decoder import TurboDecoder
from tests.data.test_jpeg import jpeg

CPU = torch.device("cpu")


@pytest.fixture
def files(tmp_path):
    contents = [jpeg(64, 48), jpeg(64, 48, seed=1), jpeg(64, 48, kind="PNG"), jpeg(50, 40), b"no image",
                jpeg(64, 48, progressive=True)]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.jpg").write_bytes(content)
    return [str(tmp_path / f"{number}.jpg") for number in range(len(contents))]


def decode(files, places, decoder):
    batch = FileBatchReader(files).read(list(range(len(files))), 1 << 30)
    return decode_files(batch, np.array(places), decoder, files, CPU)


def test_files_of_one_size_come_as_a_stack(files):
    stack = decode(files, [1, 0], TurboDecoder())
    assert isinstance(stack, torch.Tensor)
    assert torch.equal(stack, torch.stack([decode_image(files[1]), decode_image(files[0])]))
    assert isinstance(decode(files, [1, 0], None), list)


@pytest.mark.parametrize("decoder", [None, TurboDecoder()])
def test_every_file_comes_in_its_place(files, decoder):
    found = decode(files, range(6), decoder)
    for number, image in enumerate(found):
        if number == 4:
            assert isinstance(image, ImageError) and image.path == files[4] and "not an image" in image.message
        else:
            assert torch.equal(image, decode_image(files[number]))


def test_where_nvjpeg_fails_the_cpu_decodes(files):
    class Failing:
        def decode(self, *_):
            raise NvjpegError("nvjpegDecodeBatched gave status 5")

    with pytest.warns(UserWarning, match="gave status 5: decoding this batch on the CPU"):
        found = decode(files, [0, 3, 1], Failing())
    assert all(torch.equal(image, decode_image(files[number])) for image, number in zip(found, (0, 3, 1), strict=True))
