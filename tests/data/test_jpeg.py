"""What is told of a JPEG file before it is decoded."""

import io

import numpy as np
from PIL import Image

from ibc.data.jpeg import read_jpeg_header


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


def baseline_size(file):
    header = read_jpeg_header(file)
    return header.size if header is not None and header.baseline else None


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
