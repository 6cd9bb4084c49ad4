"""Images of every format that Pillow writes, and label maps: by every reader of images."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image

from ibc.data.decode import decode_image, read_image_file, try_to_decode
from ibc.data.image_kinds import kind_not_read, looks_like_image
from ibc.data.image_reader import UnreadableImage, open_image, read_pixels, upright_size
from ibc.data.jpeg import is_whole_jpeg, read_jpeg_header
from ibc.datasets.building.image import Recipe, Unusable, estimate_bytes, prepare_image
from tests.fuzz.damage import damaged
from tests.fuzz.harness import each, fuzzed


def _images() -> list[bytes]:
    """A small image in every format and mode that this Pillow writes, those included that are not read."""
    Image.init()
    pixels = np.random.default_rng(0).integers(0, 256, (19, 23, 4), np.uint8)
    whole = Image.fromarray(pixels, "RGBA")
    found = []
    for format in sorted(Image.SAVE):
        for mode in ("RGB", "L", "RGBA", "P", "1", "CMYK", "I;16", "LA", "F", "I"):
            buffer = io.BytesIO()
            try:
                image = whole.convert("L").convert(mode) if mode in ("I;16", "F", "I") else whole.convert(mode)
                image.save(buffer, format)
            except (OSError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError):
                continue  # a mode that the format has not
            found.append(buffer.getvalue())
    turned = b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0"
    for options in ({"format": "JPEG", "progressive": True, "quality": 30}, {"format": "JPEG", "exif": turned},
                    {"format": "GIF", "save_all": True, "append_images": [whole.convert("P")]},
                    {"format": "WEBP", "save_all": True, "append_images": [whole]}, {"format": "PNG", "exif": turned},
                    {"format": "TIFF", "compression": "tiff_lzw"}, {"format": "TIFF", "compression": "jpeg"}):
        buffer = io.BytesIO()
        whole.convert("RGB").save(buffer, **options)
        found.append(buffer.getvalue())
    return found


IMAGES = _images()
JPEGS = [data for data in IMAGES if data.startswith(b"\xff\xd8")]


@pytest.fixture(autouse=True)
def _one_megapixel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IBC_IMAGE_MEGAPIXELS", "1")
    decode_image(JPEGS[0])  # which loads torchvision: it counts for no input


_SIDES = [3, 8, 0, 1, 2, 255, 256, 1000, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1]
_CHUNKS = [
    (b"PLTE", bytes(768)), (b"PLTE", b"\1"), (b"tRNS", b""), (b"tRNS", bytes(6)), (b"tRNS", bytes(300)), (b"gAMA", b""),
    (b"eXIf", b"II*\0" + bytes(4)), (b"eXIf", b"MM\0*\0\0\0\x08\xff\xff"), (b"acTL", bytes(8)),
    (b"acTL", b"\0\0\0\2" * 2),
    (b"fcTL", bytes(26)), (b"fdAT", bytes(8)), (b"iCCP", b""), (b"tEXt", b""), (b"pHYs", bytes(3)), (b"CgBI", b""),
    (b"iCCP", b"a\0\0" + zlib.compress(bytes(3_000_000))), (b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000))),
    (b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(3_000_000))), (b"IDAT", b""), (b"IEND", b""), (b"\0\0\0\0", b""),
    (b"IHDR", bytes(13))]


@st.composite
def odd_pngs(draw: st.DrawFn) -> bytes:
    """A PNG whose chunks say odd things under the right checksum."""
    width, height = (draw(st.sampled_from(_SIDES)) for _ in range(2))
    kind = bytes(draw(st.sampled_from(values)) for values in (
        (8, 8, 1, 2, 4, 16, 0, 3, 255), (0, 2, 3, 4, 6, 1, 255), (0, 0, 1), (0, 0, 1), (0, 0, 1, 2)))
    pixels = zlib.compress(bytes(draw(st.sampled_from((0, 100, 1000, 5_000_000)))))
    chunks = [(b"IHDR", width.to_bytes(4) + height.to_bytes(4) + kind),
              *draw(st.lists(st.sampled_from(_CHUNKS), max_size=3)), (b"IDAT", pixels),
              *draw(st.lists(st.sampled_from(_CHUNKS), max_size=1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)
                                          for name, data in chunks)


@fuzzed(damaged(IMAGES) | odd_pngs(), errors=(UnreadableImage, Unusable), tries=300)
def test_image(data: bytes, folder: Path) -> None:
    file = folder / "a.jpg"
    file.write_bytes(data)
    looks_like_image(data[:64])
    kind_not_read(data)
    each(lambda: _shape(read_pixels(data)), lambda: _shape(read_pixels(data, side=8)),
         lambda: _size(data), lambda: prepare_image(data, Recipe(16, 90), ".png"),
         lambda: prepare_image(data, Recipe(1000, 90)), lambda: estimate_bytes(data, Recipe(16, 90)),
         lambda: decode_image(str(file)), lambda: read_image_file(file), own=(UnreadableImage, Unusable))
    try_to_decode(data, "a.jpg")


def _shape(pixels: np.ndarray) -> None:
    assert pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8 and pixels.size <= 3_000_000


def _size(data: bytes) -> None:
    with open_image(data) as image:
        upright_size(image)


@fuzzed(damaged(JPEGS, header=700))
def test_jpeg_header(data: bytes, folder: Path) -> None:
    is_whole_jpeg(data)
    header = read_jpeg_header(data)
    assert header is None or (min(header.size) > 0 and 1 <= header.orientation <= 8)
