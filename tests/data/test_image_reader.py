"""One reader for images: the same file gives the same pixels wherever it is read, and nothing else than pixels."""

import io
import os
import random
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from ibc.data.decode import decode_image
from ibc.data.gpu.decode import decode_files
from ibc.data.gpu.file_batch import FileBatchReader
from ibc.data.gpu.resize import resize_images
from ibc.data.image_kinds import looks_like_image
from ibc.data.image_reader import read_pixels, upright
from ibc.data.jpeg import exif_orientation, read_jpeg_header
from ibc.data.limits import most_pixels
from ibc.data.transform import MOST_ASPECT, ImageTransform, middle_of, resize_shorter
from ibc.datasets.building.image import PreparedImage, Recipe, Unusable, prepare_image
from ibc.errors import InputError
from ibc.report.thumbnails import thumbnail
from tests.conftest import ROOT
from tests.data.gpu.turbo_decoder import TurboDecoder
from tests.data.test_jpeg import jpeg

UNDO = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90", 7: "TRANSVERSE",
        8: "ROTATE_270"}


def scene(width=90, height=70, mode="RGB", seed=0):
    """Smooth colours, no two corners alike."""
    small = np.random.RandomState(seed).randint(0, 256, (4, 5, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def encoded(image, kind, **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def with_orientation(kind, turn):
    """``scene()`` stored turned, with the EXIF orientation that turns it back."""
    image, exif = scene(), Image.Exif()
    exif[0x0112] = turn
    stored = image.transpose(Image.Transpose[UNDO[turn]]) if turn > 1 else image
    return encoded(stored, kind, exif=exif, **({"quality": 95} if kind in ("JPEG", "WEBP", "AVIF") else {}))


def cut_out(mode="RGBA"):
    image = scene(mode="RGBA")
    image.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 90).astype(np.uint8), (70, 1))))
    return image.convert(mode)


def png_with_chunk(content, chunk, data):
    """A PNG with one more chunk right after its header."""
    extra = struct.pack(">I", len(data)) + chunk + data + struct.pack(">I", zlib.crc32(chunk + data))
    return content[:33] + extra + content[33:]


def odd_files():
    """Name -> content of every kind of file that readers used to see differently."""
    grey16 = Image.fromarray(np.linspace(2000, 60000, 90 * 70).reshape(70, 90).astype(np.uint16))
    palette = scene().quantize(64)
    frames = [scene(seed=seed) for seed in (1, 2)]
    return {
        **{f"phone {turn}.jpg": with_orientation("JPEG", turn) for turn in range(1, 9)},
        "phone.png": with_orientation("PNG", 6), "phone.webp": with_orientation("WEBP", 8),
        "phone.tif": with_orientation("TIFF", 5), "phone.avif": with_orientation("AVIF", 6),
        "progressive.jpg": jpeg(90, 70, progressive=True), "grey.jpg": jpeg(90, 70, mode="L"),
        "cmyk.jpg": jpeg(90, 70, mode="CMYK"), "colours as rgb.jpg": jpeg(90, 70, keep_rgb=True, subsampling=0),
        "alpha.png": encoded(cut_out(), "PNG"), "grey alpha.png": encoded(cut_out("LA"), "PNG"),
        "alpha.webp": encoded(cut_out(), "WEBP", lossless=True), "alpha.tif": encoded(cut_out(), "TIFF"),
        "clear colour.png": encoded(scene(), "PNG", transparency=scene().getpixel((0, 0))),
        "clear grey.png": encoded(scene(mode="L"), "PNG", transparency=scene(mode="L").getpixel((3, 3))),
        "palette.png": encoded(palette, "PNG"), "palette.gif": encoded(palette, "GIF"),
        "clear in palette.png": encoded(palette, "PNG", transparency=palette.getpixel((5, 5))),
        "alphas in palette.png": encoded(palette, "PNG", transparency=bytes(range(0, 256, 4))),
        "clear in palette.gif": encoded(palette, "GIF", transparency=palette.getpixel((5, 5))),
        "grey16.png": encoded(grey16, "PNG"), "grey16.tif": encoded(grey16, "TIFF"),
        "grey16 clear.png": png_with_chunk(encoded(grey16, "PNG"), b"tRNS", struct.pack(">H", 2000)),
        "grey16.pgm": encoded(grey16.convert("I"), "PPM"), "bits.png": encoded(scene(mode="1"), "PNG"),
        "animated.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "animated.webp": encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True),
        "animated.png": encoded(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "lab.tif": encoded(scene(mode="LAB"), "TIFF"), "ycc.tif": encoded(scene(mode="YCbCr"), "TIFF"),
    }


ODD = odd_files()


@pytest.mark.parametrize("name", ODD)
def test_every_way_sees_the_same_pixels(tmp_path, name):
    """Both decoders of a list, the GPU's loader, and the file that preparation stores."""
    (tmp_path / name).write_bytes(ODD[name])
    seen = decode_image(tmp_path / name)
    assert seen.shape == (3, 70, 90)
    assert torch.equal(seen, decode_image(tmp_path / name, "pillow"))
    files = [str(tmp_path / name)]
    (on_gpu,) = decode_files(FileBatchReader(files).read([0], 1 << 20), np.array([0]), TurboDecoder(), files,
                             torch.device("cpu"))
    assert torch.equal(seen, on_gpu)
    prepared = prepare_image(ODD[name], Recipe(size=256, quality=100), os.path.splitext(name)[1])
    stored = decode_image(ODD[name] if prepared.data is None else prepared.data)
    difference = (stored.int() - seen.int()).abs()
    if prepared.extension == ".png" or prepared.data is None:
        assert torch.equal(stored, seen)
    else:  # encoded as a JPEG once more
        assert difference.float().mean() < 3 and difference.shape == seen.shape


@pytest.mark.parametrize("name", [name for name in ODD if name.startswith("phone")])
def test_photographs_are_upright(name):
    wanted = torch.from_numpy(np.array(scene())).permute(2, 0, 1)
    assert (decode_image(ODD[name]).int() - wanted.int()).abs().float().mean() < 4


def test_thumbnails_show_the_same():
    """Of sheets and pages: upright, and decoded at a smaller scale."""
    large = scene().resize((900, 700))
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(large.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)
    small = read_pixels(content, ".jpg", side=64)
    assert small.shape == (88, 113, 3)
    assert np.abs(small.astype(int) - np.asarray(large.resize((113, 88))).astype(int)).mean() < 3


def test_what_is_transparent_is_white():
    for name in ("alpha.png", "grey alpha.png", "alpha.webp", "alpha.tif"):
        assert decode_image(ODD[name])[..., 0].min() > 250
    pixel = decode_image(ODD["clear colour.png"])[:, 0, 0]
    assert pixel.tolist() == [255, 255, 255]
    assert decode_image(ODD["clear in palette.png"])[:, 5, 5].tolist() == [255, 255, 255]
    assert decode_image(ODD["grey16 clear.png"])[:, 0, 0].tolist() == [255, 255, 255]


def test_16_bits_are_scaled():
    for name in ("grey16.png", "grey16.tif", "grey16.pgm"):
        pixels = decode_image(ODD[name])
        assert pixels[0, 0, 0] == round(2000 / 257) and pixels[0, -1, -1] == round(60000 / 257)


def test_files_without_an_orientation_are_decoded_as_ever():
    """As Pillow decodes them, bit for bit."""
    for content in (jpeg(64, 48), jpeg(61, 47, subsampling=0), jpeg(50, 51, mode="L"), jpeg(64, 48, kind="PNG"),
                    jpeg(64, 48, exif=b"Exif\0\0 and what follows"), with_orientation("JPEG", 1)):
        plain = torch.from_numpy(np.array(Image.open(io.BytesIO(content)).convert("RGB"))).permute(2, 0, 1)
        assert torch.equal(decode_image(content), plain) and torch.equal(decode_image(content, "pillow"), plain)


def test_orientation_of_an_exif_block():
    def block(order, kind, value, count=1, tag=0x0112):
        mark, way = (b"II*\0", "<") if order == "little" else (b"MM\0*", ">")
        number = struct.pack(way + ("H2x" if kind == 3 else "I"), value)
        return mark + struct.pack(way + "IHHHI", 8, 1, tag, kind, count) + number

    for order in ("little", "big"):
        for value in range(10):
            for kind in (3, 4):
                wanted = value if 1 <= value <= 8 else 1
                assert exif_orientation(block(order, kind, value)) == wanted
                assert exif_orientation(b"Exif\0\0" + block(order, kind, value)) == wanted
        for damaged in (block(order, 2, 6), block(order, 3, 6, count=2), block(order, 3, 6, tag=0x0110),
                        block(order, 3, 6)[:-1], block(order, 3, 6)[:9], b"Exif\0\0", b""):
            assert exif_orientation(damaged) == 1
    for orientation in range(1, 9):  # Pillow's own rule
        pixels = np.asarray(scene(7, 5))
        turned = Image.fromarray(pixels)
        if orientation > 1:
            back = {6: "ROTATE_270", 8: "ROTATE_90"}.get(orientation, UNDO.get(orientation))
            turned = turned.transpose(Image.Transpose[back])
        assert np.array_equal(upright(pixels, orientation), np.asarray(turned))


def test_turned_files_are_not_for_nvjpeg(tmp_path):
    files = []
    for turn in (1, 6):
        files.append(str(tmp_path / f"{turn}.jpg"))
        (tmp_path / f"{turn}.jpg").write_bytes(with_orientation("JPEG", turn))
    assert FileBatchReader(files).read([0, 1], 1 << 20).sizes.tolist() == [[70, 90], [0, 0]]


NOT_READ = {
    "loop.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 80 80\n%%EndComments\n{ } loop\nshowpage\n%%EOF\n",
                 "an EPS or PostScript file"),
    "dos.png": (b"\xc5\xd0\xd3\xc6" + bytes(30), "an EPS file"),
    "paper.jpg": (b"%PDF-1.4\n", "a PDF file"),
    "iphone.jpg": (b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(60), "a HEIC photo"),
    "logo.png": (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
    "raw.nef": (encoded(scene(), "TIFF"), "a camera's raw file"),
    "text.jpg": (b"<html>404</html>", "data that is not an image"),
    "float.tif": (encoded(Image.fromarray(np.zeros((9, 9), np.float32)), "TIFF"), "range is not known"),
}


@pytest.mark.parametrize("name", NOT_READ)
def test_what_is_no_picture_is_named(tmp_path, monkeypatch, name):
    """And nothing is run: a stand-in for Ghostscript, first on the PATH, is never called."""
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/called\nexit 1\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    content, found = NOT_READ[name]
    (tmp_path / name).write_bytes(content)
    for decoder in ("turbo", "pillow"):
        with pytest.raises(InputError) as raised:
            decode_image(tmp_path / name, decoder)
        assert str(raised.value).startswith(f"{tmp_path / name}: found ") and found in str(raised.value)
    with pytest.raises(Unusable):
        prepare_image(content, Recipe(256, 95), os.path.splitext(name)[1])
    assert thumbnail(str(tmp_path / name), 16) is None
    assert not (tmp_path / "called").exists()


def huge_jpeg(width, height):
    """A few hundred bytes that say they are an image of that size."""
    content = bytearray(jpeg(16, 16))
    start = content.index(b"\xff\xc0")
    content[start + 5 : start + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def test_sizes_are_looked_at_before_memory_is_taken(tmp_path):
    content = huge_jpeg(65000, 65000)
    assert read_jpeg_header(content).size == (65000, 65000)
    for decoder in ("turbo", "pillow"):
        with pytest.raises(InputError, match="image of at most 179 million pixels"):
            decode_image(content, decoder)
    with pytest.raises(Unusable, match="million pixels"):
        prepare_image(content, Recipe(256, 95))
    files = [str(tmp_path / name) for name in ("a", "b")]
    for file, side in zip(files, (65000, 12000), strict=True):  # too large; and more pixels than its bytes can hold
        with open(file, "wb") as handle:
            handle.write(huge_jpeg(side, side))
    assert FileBatchReader(files).read([0, 1], 1 << 20).sizes.tolist() == [[0, 0], [0, 0]]
    assert most_pixels() > 12000**2


def test_pipes_and_devices_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    for name in ("pipe.jpg", "zero.jpg"):
        with pytest.raises(InputError, match="no regular file"):
            decode_image(tmp_path / name)


KINDS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "PPM", "WEBP", "TIFF", "AVIF", "JPEG2000", "TGA", "ICO", "PCX", "SGI",
         "QOI", "DDS", "IM", "EPS", "PDF", "ICNS", "MSP", "XBM", "SPIDER")
ONE_BIT = {"MSP": "1", "XBM": "1", "SPIDER": "F"}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_of_every_kind_are_errors_in_words(kind):
    """Bytes changed, cut out, or cut off: an image or an InputError; preparation: an image or a reason."""
    whole = encoded(scene(40, 32, mode=ONE_BIT.get(kind, "RGB")), kind)
    chance = random.Random(kind)
    for _ in range(60):
        content = bytearray(whole)
        way = chance.randrange(4)
        place = chance.randrange(len(content)) if chance.random() < 0.5 else chance.randrange(min(300, len(content)))
        if way == 0:
            content[place] = chance.randrange(256)
        elif way == 1:
            content[place : place + 8] = bytes(8)
        elif way == 2:
            content[place : place + 4] = b"\xff" * 4
        else:
            del content[place:]
        for decoder in ("turbo", "pillow"):
            try:
                image = decode_image(bytes(content), decoder, name="x.img")
                assert image.dtype == torch.uint8 and image.shape[0] == 3
            except InputError as error:
                assert str(error).startswith("x.img: found ") and "\n" not in str(error)
        try:
            assert isinstance(prepare_image(bytes(content), Recipe(16, 90)), PreparedImage)
        except Unusable as error:
            assert str(error)


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError, KeyError, AssertionError, struct.error,
                                   MemoryError, RecursionError])
def test_what_a_decoder_raises_is_a_bad_image(monkeypatch, error):
    def fail(self, *_):
        raise error("odd")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    with pytest.raises(InputError, match=r"found a broken image \(.*odd"):
        decode_image(jpeg(8, 8, kind="PNG"))
    with pytest.raises(Unusable, match=r"damaged: .*odd"):
        prepare_image(jpeg(8, 8, kind="PNG"), Recipe(4, 90))


def test_images_are_known_by_their_first_bytes():
    for name, content in ODD.items():
        assert looks_like_image(content[:64]), name
    for content in (b"", b"PK\3\4", b"<svg", b"%!PS", b"BMW and others", b"Pictures",
                    b"\0\0\0\x20ftypmp42" + bytes(20)):
        assert not looks_like_image(content)
    assert read_pixels(ODD["grey.jpg"]).shape == (70, 90, 3)


@pytest.mark.parametrize("shape", [(3000, 3), (2, 1700), (1, 600), (1700, 5)])
def test_of_a_thin_image_the_middle_is_enlarged(shape):
    """The centre crop is that of the whole image, enlarged."""
    size, crop = 12, (12, 12)
    thin = torch.randint(0, 256, (3, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    height, width = shape
    scale = size / min(shape)
    whole = torch.nn.functional.interpolate(thin[None], (round(height * scale), round(width * scale)), mode="bilinear",
                                            antialias=True)[0]
    for small in (resize_shorter(thin, size), resize_images([thin], ImageTransform(crop, size, True, train=False))[0]):
        assert max(small.shape) <= (MOST_ASPECT + 1) * size and min(small.shape[1:]) == size
        windows = []
        for image in (whole, small):
            top, left = (round((have - want) / 2) for have, want in zip(image.shape[1:], crop, strict=True))
            windows.append(image[:, top : top + 12, left : left + 12].int())
        assert (windows[0] - windows[1]).abs().max() <= 1
    usual = torch.zeros(3, 5, 5 * MOST_ASPECT)
    assert middle_of(usual) is usual


def test_there_is_one_reader():
    """Pillow opens files in one place, with its list of formats."""
    opening = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("ibc/**/*.py")
               if "Image.open(" in path.read_text(encoding="utf-8")]
    assert opening == ["ibc/data/image_reader.py"]
