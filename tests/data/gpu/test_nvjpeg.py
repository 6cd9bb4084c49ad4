"""JPEG files decoded in batches by nvJPEG, against libjpeg-turbo (needs a GPU)."""

import os
from contextlib import suppress

import numpy as np
import pytest
import torch

from ibc.data.decode import decode_image
from ibc.data.gpu import nvjpeg
from ibc.data.gpu.file_batch import FileBatchReader
from tests.data.test_jpeg import PLAIN, jpeg

GPU = torch.device("cuda")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def test_the_library_is_the_one_that_torchvision_loaded():
    path = nvjpeg.library()
    if path is None:
        pytest.skip("a torchvision without nvJPEG")
    assert os.path.isfile(path) and "libnvjpeg" in path


def decoded(decoder, folder, files):
    """Through files on disk, as the loader does."""
    for number, file in enumerate(files):
        (folder / f"{number}.jpg").write_bytes(file)
    contents = FileBatchReader([str(folder / f"{number}.jpg") for number in range(len(files))]).read(
        list(range(len(files))), 1 << 30)
    return decoder.decode(contents.data, contents.starts[:-1], np.diff(contents.starts), contents.sizes)


@needs_gpu
@pytest.mark.parametrize("backend, most", [(nvjpeg.HARDWARE, 1), (nvjpeg.GPU_HYBRID, 8)])
def test_pixels_are_those_of_the_cpu(tmp_path, backend, most):
    """Where decoding engines do it, to a grey level."""
    try:
        decoder = nvjpeg.BatchDecoder(GPU, [backend])
    except nvjpeg.NvjpegError:
        pytest.skip("a GPU without decoding engines")
    many = [jpeg(40 + number % 3, 60 - number % 5, seed=number) for number in range(70)]
    alike = [jpeg(64, 64, seed=number) for number in range(70)]
    for files in (PLAIN[:1], PLAIN, many, alike, PLAIN):
        for number, (file, picture) in enumerate(zip(files, decoded(decoder, tmp_path, files), strict=True)):
            difference = (picture.cpu().int() - decode_image(file).int()).abs()
            assert picture.is_cuda and difference.max() <= most, (number, difference.max(), difference.float().mean())
    assert decoded(decoder, tmp_path, []) == []


@needs_gpu
def test_it_decodes_on_after_a_broken_file(tmp_path):
    decoder = nvjpeg.BatchDecoder(GPU)
    good = [jpeg(64, 64, seed=number) for number in range(4)]
    with suppress(nvjpeg.NvjpegError):  # it may fill what is missing instead
        assert len(decoded(decoder, tmp_path, [*good, good[0][:-200] + b"\xff\xd9"])) == 5
    for file, picture in zip(good, decoded(decoder, tmp_path, good), strict=True):
        assert (picture.cpu().int() - decode_image(file).int()).abs().max() <= 8


@needs_gpu
def test_after_a_failure_of_the_library_it_goes_on_without_engines(tmp_path):
    decoder = nvjpeg.BatchDecoder(GPU)
    good = [jpeg(64, 64, seed=number) for number in range(4)]

    class Failing:
        """The library, whose next batch fails as its engines do: execution failed."""

        def __getattr__(self, name):
            if name != "nvjpegDecodeBatched":
                return getattr(library, name)
            decoder._nvjpeg = library
            return lambda *_: 6

    library, decoder._nvjpeg = decoder._nvjpeg, Failing()
    before = decoder._handle.value
    with pytest.raises(nvjpeg.NvjpegError, match="status 6"):
        decoded(decoder, tmp_path, good)
    assert decoder._handle.value and decoder._handle is not before
    for file, picture in zip(good, decoded(decoder, tmp_path, good), strict=True):
        assert (picture.cpu().int() - decode_image(file).int()).abs().max() <= 8
