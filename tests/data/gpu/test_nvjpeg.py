"""JPEG files decoded in batches by nvJPEG, against libjpeg-turbo (needs a GPU), and which files are fit for it."""

import io
import os
from contextlib import suppress

import numpy as np
import pytest
import torch
from PIL import Image

from ibc.data.decode import baseline_size, decode_image
from ibc.data.gpu import nvjpeg
from ibc.data.gpu.file_batch import FileBatchReader

GPU = torch.device("cuda")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def jpeg(width, height, seed=0, mode="RGB", kind="JPEG", **options):
    """A picture of smooth colours."""
    small = np.random.RandomState(seed).randint(0, 256, (5, 5, 3)).astype(np.uint8)
    picture = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).convert(mode)
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


PLAIN = [jpeg(64, 48), jpeg(61, 47, subsampling=0), jpeg(33, 90, subsampling=1), jpeg(50, 51, mode="L"),
         jpeg(17, 300, quality=95), jpeg(40, 40, optimize=True), jpeg(40, 41, exif=b"Exif\0\0 and what follows")]
OTHERS = [jpeg(64, 48, progressive=True), jpeg(64, 48, mode="CMYK"), jpeg(64, 48, kind="PNG"), b"\xff\xd8\xff", b"",
          jpeg(64, 48, keep_rgb=True, subsampling=0), jpeg(64, 48)[:300], b"\xff\xd8" + b"\xff\xe0\0\2" * 9,
          b"\xff\xd8\xff\xc0\0\x08\x08\0\x10\0\x10\x03\xff\xda\0\x03\x03"]  # a frame of no components


def test_baseline_files_are_told_from_others():
    for file in PLAIN:
        with Image.open(io.BytesIO(file)) as picture:
            assert baseline_size(file) == picture.size[::-1]
    assert [baseline_size(file) for file in OTHERS] == [None] * len(OTHERS)
    start = PLAIN[0].index(b"\xff\xc0")
    for place, value in ((4, 12), (9, 2), (11, 0x41)):  # twelve bits, two components, luma sampled 4 x 1
        odd = bytearray(PLAIN[0])
        odd[start + place] = value
        assert baseline_size(bytes(odd)) is None


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
