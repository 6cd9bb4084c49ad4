"""No reader of images runs a program, whatever is in a file: Pillow hands EPS, whatever its ending, to Ghostscript."""

import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from ibc.data.broden.check import check_broden
from ibc.data.broden.dataset import load_broden
from ibc.data.decode import decode_image
from ibc.data.image_reader import UnreadableImage, open_image, read_pixels
from ibc.datasets.building.image import Recipe, Unusable, estimate_bytes, prepare_image
from ibc.datasets.doctor.images import examine_images
from ibc.errors import InputError
from ibc.report.thumbnails import thumbnail
from tests.fuzz.test_tables import BRODEN

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 6\n%%EndComments\n{} loop\n%%EOF\n"
FILES = {
    "eps": EPS,
    "dos": b"\xc5\xd0\xd3\xc6" + (30).to_bytes(4, "little") + len(EPS).to_bytes(4, "little") + bytes(18) + EPS,
    "ps": b"%!PS\n" + EPS, "pdf": b"%PDF-1.4\n" + EPS, "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "wmf": b"\xd7\xcd\xc6\x9a\0\0" + bytes(40), "emf": b"\1\0\0\0" + bytes(36) + b" EMF" + bytes(60),
    "grib": b"GRIB" + bytes(40), "bufr": b"BUFR" + bytes(40), "mpeg": b"\0\0\1\xb3" + bytes(40),
    "hdf": b"\x89HDF\r\n\x1a\n" + bytes(40), "fits": b"SIMPLE  =                    T" + bytes(99),
    "fli": bytes(4) + b"\x11\xaf" + bytes(122), "xpm": b'/* XPM */ static char *a[] = {"1 1 1 1"'}


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gs that leaves a mark, first on the PATH; and no way to start any other."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gs").write_text(f"#!/bin/sh\necho called >> {tmp_path}/mark\nexit 1\n")
    (tmp_path / "bin" / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")

    def start(*args: object, **options: object) -> None:
        (tmp_path / "mark").write_text(f"{args}")
        raise AssertionError(f"a program is started: {args}")

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(os, "system", start)
    return tmp_path / "mark"


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("ending", [".jpg", ".png", ".eps", ""])
def test_images(kind: str, ending: str, tmp_path: Path, program: Path) -> None:
    Image.preinit()
    data, file = FILES[kind], tmp_path / f"a{ending}"
    file.write_bytes(data)

    def opened() -> None:
        with open_image(data) as image:
            image.load()

    for read in (lambda: decode_image(str(file)), lambda: decode_image(str(file), "pillow"),
                 lambda: read_pixels(data), opened,
                 lambda: prepare_image(data, Recipe(64, 90), ending), lambda: estimate_bytes(data, Recipe(64, 90))):
        with pytest.raises((InputError, UnreadableImage, Unusable)):
            read()
    assert thumbnail(str(file), 8) is None
    assert examine_images([str(file)], "turbo", 1)[str(file)].fault
    assert not program.exists()


@pytest.mark.parametrize("name", ["a.jpg", "o.png"])
def test_broden(name: str, tmp_path: Path, program: Path) -> None:
    folder = tmp_path / "broden"
    (folder / "images").mkdir(parents=True)
    for table, content in BRODEN.items():
        (folder / table).write_bytes(content)
    for image, size in (("a.jpg", (8, 6)), ("b.jpg", (8, 6)), ("o.png", (4, 3))):
        Image.new("RGB", size, (1, 0, 0)).save(folder / "images" / image)
    (folder / "images" / name).write_bytes(EPS)
    with pytest.raises(InputError):
        check_broden(folder)
    broden = load_broden(folder)
    with pytest.raises(InputError, match="EPS"):
        broden.read_image(0) if name == "a.jpg" else broden.read_planes(0)
    assert not program.exists()
