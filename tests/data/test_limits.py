"""Limits of memory: named in the error, raised by the environment, and kept by every reader."""

import io
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
from PIL import Image

from ibc.data.decode import decode_image
from ibc.data.limits import DEFAULT_PIXELS, most_image_bytes, most_pixels
from ibc.data.list_file import read_list
from ibc.datasets.building.archive import list_members, read_files
from ibc.errors import InputError
from tests.fuzz.harness import limits


def png(width: int, height: int) -> bytes:
    """A PNG that says it has so many pixels."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    header = width.to_bytes(4) + height.to_bytes(4) + b"\x08\x02\0\0\0"
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def test_the_environment_sets_the_size_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert most_pixels() == DEFAULT_PIXELS and most_image_bytes() == 3 * DEFAULT_PIXELS
    for format in ("PNG", "JPEG"):
        file = tmp_path / f"a.{format.lower()}"
        Image.new("RGB", (300, 200)).save(file, format)
        monkeypatch.setenv("IBC_IMAGE_MEGAPIXELS", "0.05")
        with pytest.raises(InputError, match=r"found 0.06 million pixels.*at most 0.05 million.*IBC_IMAGE_MEGAPIXELS"):
            decode_image(str(file))
        monkeypatch.setenv("IBC_IMAGE_MEGAPIXELS", "0.06")
        assert decode_image(str(file)).shape == (3, 200, 300)
    monkeypatch.setenv("IBC_IMAGE_MEGAPIXELS", "many")
    with pytest.raises(InputError, match="IBC_IMAGE_MEGAPIXELS: found 'many'"):
        decode_image(str(file))


def test_images_beyond_the_usual_bound_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="more than 179 million pixels"), limits(5, 200):
        decode_image(png(20000, 20000))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.setenv("IBC_IMAGE_MEGAPIXELS", "401")
    with pytest.raises(InputError, match="broken image"):
        decode_image(png(20000, 20000))


@pytest.fixture
def zeros(monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setenv("IBC_ARRAY_GB", "0.01")
    return bytes(100_000_000)


def test_a_list_in_a_zip_does_not_fill_the_memory(tmp_path: Path, zeros: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "pack.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.txt", zeros)
    del zeros
    with limits(5, 50), pytest.raises(InputError, match=r"train.txt: found content of 100 MB in .* IBC_ARRAY_GB"):
        read_list("train.txt", tmp_path / "pack.zip")


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("nested", [False, True])
def test_members_of_tars_do_not_fill_the_memory(tmp_path: Path, zeros: bytes, mode: str, nested: bool) -> None:
    source = tmp_path / f"src.tar.{mode[2:]}"
    with tarfile.open(source, mode) as tar:
        entry = tarfile.TarInfo("data_batch_1")
        entry.size = len(zeros)
        tar.addfile(entry, io.BytesIO(zeros))
    if nested:
        with tarfile.open(tmp_path / "outer.tar", "w") as tar:
            tar.add(source, "inner.tar.gz")
        source = tmp_path / "outer.tar"
    del zeros
    with limits(10, 60):
        members = list_members(source, nested=True)
        with pytest.raises(InputError, match=r"data_batch_1' of 100 MB in a file of"):
            read_files(members)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_headers_of_tars_do_not_fill_the_memory(tmp_path: Path, zeros: bytes, kind: bytes, mode: str) -> None:
    with tarfile.open(tmp_path / "src.tar", mode) as tar:
        entry = tarfile.TarInfo("x")
        entry.size, entry.type = len(zeros), kind
        tar.addfile(entry, io.BytesIO(zeros))
    del zeros
    with limits(5, 60), pytest.raises(InputError, match="a header of 100000000 bytes"):
        list_members(tmp_path / "src.tar")


def test_a_tar_that_expands_without_end(tmp_path: Path, zeros: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    from ibc.datasets.building import tar_reader

    with tarfile.open(tmp_path / "src.tar.bz2", "w:bz2") as tar:
        entry = tarfile.TarInfo("film.mp4")
        entry.size = len(zeros)
        tar.addfile(entry, io.BytesIO(zeros))
    monkeypatch.setattr(tar_reader, "_BOMB", 1 << 20)
    with pytest.raises(InputError, match="expands to more than 100 times its size"):
        list_members(tmp_path / "src.tar.bz2")


def test_sizes_that_cannot_be_true_take_no_memory(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pack.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.txt", b"a.jpg 0\n" * 5)
    data = (tmp_path / "pack.zip").read_bytes()
    (tmp_path / "pack.zip").write_bytes(data.replace((40).to_bytes(4, "little"), (900_000_000).to_bytes(4, "little")))
    with limits(5, 50), pytest.raises(InputError, match="can never become 900000000"):
        read_list("train.txt", tmp_path / "pack.zip")
