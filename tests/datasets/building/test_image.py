"""Odd images are handled, damaged ones are listed."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ibc.commands.prepare import COMMAND as main
from ibc.data.list_file import read_list
from ibc.datasets.building.image import simplejpeg
from tests.datasets.preparing import class_tree, prepare, rows, skipped
from tests.datasets.replicas import encode, exif, jpeg, picture, write_tree, write_zip


def quarters(width: int, height: int) -> Image.Image:
    """Red, green, blue and white quarters, so that a turn is seen."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("lime", (width // 2, 0, width, height // 2))
    image.paste("blue", (0, height // 2, width // 2, height))
    image.paste("white", (width // 2, height // 2, width, height))
    return image


@pytest.mark.parametrize("size", [(600, 400), (900, 1400), (100, 80)])
@pytest.mark.parametrize("format, orientation", [*(("JPEG", turn) for turn in range(1, 9)), ("PNG", 5), ("TIFF", 6),
                                                 ("WEBP", 8)])
def test_rotated_photographs_are_turned_upright(tmp_path, format, orientation, size):
    upright = quarters(*size)
    undo = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90",
            7: "TRANSVERSE", 8: "ROTATE_270"}
    stored = upright.transpose(Image.Transpose[undo[orientation]]) if orientation > 1 else upright
    write_tree(tmp_path / "src", {f"a/x.{format.lower()}": encode(stored, format, exif=exif(orientation), quality=95)})
    prepare("folder", tmp_path / "src", tmp_path / "out", "--test_share", 0)
    with Image.open(read_list("train.txt", tmp_path / "out").files[0]) as image:
        scale = min(1, 256 / min(size))
        assert image.size == tuple(round(side * scale) for side in size)
        pixels = np.asarray(image).astype(int)
    high, wide = pixels.shape[0] // 4, pixels.shape[1] // 4
    corners = [pixels[high, wide], pixels[high, -wide], pixels[-high, wide], pixels[-high, -wide]]
    for found, wanted in zip(corners, [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)], strict=True):
        assert np.abs(found - wanted).max() < 30


def odd_images() -> dict[str, tuple[bytes, str]]:
    """Name -> (content, what the manifest counts it under)."""
    grey16 = Image.fromarray(np.linspace(0, 65535, 300 * 280).reshape(280, 300).astype(np.uint16))
    frames = [picture(seed) for seed in (1, 2, 3)]
    clear = picture(4, mode="RGBA")
    clear.putalpha(0)
    return {
        "cmyk.jpg": (encode(picture(5, mode="CMYK")), "CMYK to RGB"),
        "grey16.png": (encode(grey16, "PNG"), "16 bits to 8"),
        "grey16.tif": (encode(grey16, "TIFF"), "16 bits to 8"),
        "animated.gif": (encode(frames[0], "GIF", save_all=True, append_images=frames[1:]), "first frame of several"),
        "animated.webp": (encode(frames[0], "WEBP", save_all=True, append_images=frames[1:]), "first frame of several"),
        "clear.png": (encode(clear, "PNG"), "transparency laid on white"),
        "palette.gif": (encode(picture(6, mode="P"), "GIF"), ""),
        "really_png.jpg": (encode(picture(7), "PNG"), "wrongly named"),
        "really_jpeg.png": (jpeg(8), "wrongly named"),
        "no_ending": (jpeg(9), ""),
        "progressive.jpg": (encode(picture(10), progressive=True), ""),
        "grey.jpg": (encode(picture(11, mode="L")), ""),
        "bits.bmp": (encode(picture(12, mode="1"), "BMP"), ""),
        "grey.pgm": (encode(picture(13, mode="L"), "PPM"), ""),
        "colour.jp2": (encode(picture(14), "JPEG2000"), ""),
    }


@pytest.mark.parametrize("scale", [1, 0.2])
def test_odd_images_are_handled_and_counted(tmp_path, scale):
    odd = odd_images()
    if scale != 1:  # below --size: nothing is resized, and the size is kept
        odd = {name: (shrunk(data, scale), note) for name, (data, note) in odd.items() if "animated" not in name}
    write_tree(tmp_path / "src", {f"a/{name}": data for name, (data, _) in odd.items()})
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out", "--test_share", 0)
    assert skipped(tmp_path / "out") == {}
    wanted: dict[str, int] = {}
    for _, note in odd.values():
        if note:
            wanted[note] = wanted.get(note, 0) + 1
    assert {note: manifest["images"]["handled"].get(note) for note in wanted} == wanted
    for path in read_list("train.txt", tmp_path / "out").files:
        with Image.open(path) as image:
            assert image.mode in ("RGB", "L")
            assert image.size == ((274, 256) if scale == 1 else (60, 56))
    blank = next((tmp_path / "out" / "images" / "a").glob("clear.*"))
    assert np.asarray(Image.open(blank)).min() > 250
    ramp = np.asarray(Image.open(next((tmp_path / "out" / "images" / "a").glob("grey16.*"))).convert("L"))
    assert ramp[0].max() < 10 and ramp[-1].min() > 245


def shrunk(data: bytes, scale: float) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        small = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.NEAREST)
        return encode(small, image.format)


def broken_images() -> dict[str, tuple[bytes, str]]:
    """Name -> (content, part of the reason)."""
    whole = jpeg(1, 500, 400)
    middle = len(whole) // 2
    rng = np.random.default_rng(0)
    bomb = Image.new("L", (20000, 20000))
    inside = {"garbage.jpg": (whole[:middle] + rng.bytes(2000) + whole[middle + 2000 :], "damaged"),
              "hole.jpg": (whole[:middle] + whole[middle + 512 :], "damaged")}
    return (inside if simplejpeg else {}) | {  # Pillow alone passes over some damage inside
        "empty.jpg": (b"", "empty file"),
        "zeros.jpg": (bytes(5000), "empty file"),
        "text.jpg": (b"<html>404 not found</html>", "not an image"),
        "cut.jpg": (whole[:middle], "damaged"),
        "small_cut.jpg": (jpeg(2, 60, 60)[:-200], "damaged"),
        "cut.png": (encode(picture(3), "PNG")[:-4000], "damaged"),
        "float.tif": (encode(Image.fromarray(np.zeros((300, 300), np.float32)), "TIFF"), "range is not known"),
        "bomb.png": (encode(bomb, "PNG"), "million pixels"),
        "header.gif": (b"GIF89a" + bytes(20), ""),
    }


def test_damaged_images_are_listed_with_a_reason_and_the_rest_is_used(tmp_path):
    broken = broken_images()
    write_tree(tmp_path / "src", class_tree(3) | {f"bee/{name}": data for name, (data, _) in broken.items()})
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out", "--test_share", 0)
    reasons = skipped(tmp_path / "out")
    assert set(reasons) == {f"bee/{name}" for name in broken}
    for name, (_, reason) in broken.items():
        assert reason in reasons[f"bee/{name}"], name
    assert manifest["images"]["skipped"] == len(broken)
    assert set(rows(tmp_path / "out", "train.txt")) == {name[:-4] for name in class_tree(3)}


def test_one_percent_of_corrupt_files_is_found(tmp_path):
    files = {f"c{number % 4}/{number}.jpg": jpeg(number, 90, 70) for number in range(300)}
    rng = np.random.default_rng(1)
    bad = [f"c{number % 4}/{number}.jpg" for number in rng.choice(300, 3, replace=False)]
    for name in bad:
        files[name] = files[name][: len(files[name]) // 2]
    write_zip(tmp_path / "src.zip", files)
    prepare("folder", tmp_path / "src.zip", tmp_path / "out")
    assert set(skipped(tmp_path / "out")) == set(bad)
    assert len(rows(tmp_path / "out", "train.txt")) + len(rows(tmp_path / "out", "test.txt")) == 297


def test_nothing_usable_is_an_error_that_points_to_the_reasons(tmp_path, capsys):
    write_tree(tmp_path / "src", {"a/x.jpg": b"no", "a/y.jpg": b"no"})
    assert main(["folder", str(tmp_path / "src"), str(tmp_path / "out"), "--workers", "1"]) == 2
    assert "skipped.csv" in capsys.readouterr().err
    assert len(skipped(tmp_path / "out")) == 2
