"""Sprite sheets: where each thumbnail is, what is reused, what happens to images that cannot be read."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibc.data import zip_folder
from ibc.errors import InputError
from ibc.report.explorer.thumbnails import SHEET_SIDE, remove_old_sheets, spread_sample, thumbnail, write_sheets

SIZE = 512  # so that a sheet holds only 16


@pytest.fixture
def files(tmp_path):
    """20 images of one colour each, twice as wide as high."""
    names = []
    for number in range(20):
        names.append(str(tmp_path / f"{number}.png"))
        Image.new("RGB", (64, 32), (10 * number, 0, 200)).save(names[-1])
    return names


def colour_of(folder, sheets, image):
    cell = int(sheets.places[image])
    per_sheet = sheets.columns * sheets.rows
    with Image.open(folder / sheets.files[cell // per_sheet]) as sheet:
        row, column = divmod(cell % per_sheet, sheets.columns)
        return np.array(sheet.getpixel(((column + 0.5) * sheets.size, (row + 0.5) * sheets.size)))


def everything(count):
    return np.arange(count)


def test_every_image_is_in_its_cell(tmp_path, files):
    folder = tmp_path / "sprites"
    sheets = write_sheets(folder, files, SIZE, everything(20), workers=1)
    assert [name[:10] for name in sheets.files] == ["sheet-0000", "sheet-0001"]
    assert (sheets.columns, sheets.rows, sheets.made) == (4, 4, 2)
    assert sheets.places.tolist() == list(range(20))
    for image in range(20):
        assert np.abs(colour_of(folder, sheets, image) - (10 * image, 0, 200)).max() <= 6
    with Image.open(folder / sheets.files[1]) as last:
        assert last.size == (4 * SIZE, SIZE)


@pytest.mark.parametrize("size", [16, 96, 100, 512])
def test_no_sheet_is_larger_than_devices_show(tmp_path, files, size):
    sheets = write_sheets(tmp_path / "sprites", files * 10, size, everything(200), workers=1)
    for name in sheets.files:
        with Image.open(tmp_path / "sprites" / name) as sheet:
            assert max(sheet.size) <= SHEET_SIDE


def test_a_sample_leaves_the_others_out(tmp_path, files):
    sheets = write_sheets(tmp_path / "sprites", files, SIZE, np.array([3, 7]), workers=1)
    assert sheets.places[[3, 7]].tolist() == [0, 1] and (sheets.places >= 0).sum() == 2 and sheets.chosen == 2
    assert np.abs(colour_of(tmp_path / "sprites", sheets, 7) - (70, 0, 200)).max() <= 6


def test_unreadable_images_have_no_place(tmp_path, files):
    (tmp_path / "3.png").write_text("no image")
    (tmp_path / "4.png").unlink()
    files[5] = "zero\0byte.png"
    sheets = write_sheets(tmp_path / "sprites", files, SIZE, everything(20), workers=1)
    assert np.flatnonzero(sheets.places < 0).tolist() == [3, 4, 5] and sheets.places[6] == 6
    assert len(sheets.unreadable) == 3 and "3.png" in sheets.unreadable[0]
    again = write_sheets(tmp_path / "sprites", files, SIZE, everything(20), workers=1)
    assert again.made == 0 and again.unreadable == sheets.unreadable


def test_none_readable_is_an_error(tmp_path, files):
    with pytest.raises(InputError, match=r"none of 20 images that can be read .*folder in which the images are now"):
        write_sheets(tmp_path / "sprites", [name + "x" for name in files], SIZE, everything(20), workers=1)
    assert not (tmp_path / "sprites").exists()
    for name in files:
        Path(name).write_text("no image")
    with pytest.raises(InputError, match=r"none of 20 images that can be read .*data that is not an image"):
        write_sheets(tmp_path / "sprites", files, SIZE, everything(20), workers=1)


def test_only_what_changed_is_made_again(tmp_path, files):
    folder = tmp_path / "sprites"
    first = write_sheets(folder, files, SIZE, everything(20), workers=1)
    assert write_sheets(folder, files, SIZE, everything(20), workers=1).made == 0
    Image.new("RGB", (32, 32), (0, 250, 0)).save(files[18])
    sheets = write_sheets(folder, files, SIZE, everything(20), workers=1)
    assert sheets.made == 1 and np.abs(colour_of(folder, sheets, 18) - (0, 250, 0)).max() <= 6
    assert sheets.files[0] == first.files[0] and sheets.files[1] != first.files[1]
    (folder / sheets.files[0]).unlink()
    assert write_sheets(folder, files, SIZE, everything(20), workers=1).made == 1


def test_old_sheets_stay_until_the_new_page_is_written(tmp_path, files):
    folder = tmp_path / "sprites"
    old = write_sheets(folder, files, SIZE, everything(20), workers=1)
    new = write_sheets(folder, files[::-1], SIZE, everything(20), workers=1)
    assert not set(old.files) & set(new.files)
    for image in (0, 19):
        assert np.abs(colour_of(folder, old, image) - (10 * image, 0, 200)).max() <= 6
    remove_old_sheets(folder, new)
    assert sorted(file.name for file in folder.iterdir()) == [*new.files, "sheets.json"]
    assert write_sheets(folder, files[::-1], SIZE, everything(20), workers=1).made == 0
    assert write_sheets(folder, files, SIZE, everything(20), workers=1).made == 2


def test_an_interrupted_run_keeps_finished_sheets(tmp_path, files, monkeypatch):
    folder = tmp_path / "sprites"
    real, calls = thumbnail, []

    def stops(file, size):
        calls.append(file)
        if len(calls) == 18:
            raise KeyboardInterrupt
        return real(file, size)

    monkeypatch.setattr("ibc.report.explorer.thumbnails.thumbnail", stops)
    with pytest.raises(KeyboardInterrupt):
        write_sheets(folder, files, SIZE, everything(20), workers=1)
    monkeypatch.undo()
    assert write_sheets(folder, files, SIZE, everything(20), workers=1).made == 1


def test_a_torn_state_makes_all_again(tmp_path, files):
    folder = tmp_path / "sprites"
    write_sheets(folder, files, SIZE, everything(20), workers=1)
    for content in ("{", "[]", '{"sheet": 3}', '{"sheet": [[1]]}', json.dumps({"s" * 300: []})):
        (folder / "sheets.json").write_text(content)
        assert write_sheets(folder, files, SIZE, everything(20), workers=1).made == 2


def test_images_of_a_zip_and_two_processes(tmp_path, files):
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        for number, file in enumerate(files):
            archive.write(file, f"{number}.png")
    inside = [f"{tmp_path}/pack.zip:{number}.png" for number in range(20)]
    sheets = write_sheets(tmp_path / "sprites", inside, SIZE, everything(20), workers=2)
    assert np.abs(colour_of(tmp_path / "sprites", sheets, 19) - (190, 0, 200)).max() <= 6


def test_a_thumbnail_is_the_middle_square(tmp_path):
    image = np.zeros((20, 60, 3), np.uint8)
    image[:, 20:40] = 255
    Image.fromarray(image).save(tmp_path / "a.png")
    assert thumbnail(str(tmp_path / "a.png"), 16).min() > 240


def test_spread_sample():
    assert spread_sample(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert spread_sample(10, 5).tolist() == [0, 2, 4, 6, 8]
    some = spread_sample(1000, 100, [999, 999, 3, *range(500, 600)])
    assert len(some) == len(set(some.tolist())) == 100 and {999, 3}.issubset(some.tolist())
    assert np.diff(some).max() <= 25


def test_a_replaced_image_is_drawn_anew(tmp_path):
    """One of the same size in bytes, in a folder (by its time) and in a zip of the same time (by its checksum)."""
    def write(colour):
        for number in range(4):
            Image.new("RGB", (32, 32), colour if number == 1 else "green").save(tmp_path / f"{number}.bmp")
        with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
            for number in range(4):
                archive.write(tmp_path / f"{number}.bmp", f"{number}.bmp")
        os.utime(tmp_path / "pack.zip", (1, 1))
        zip_folder._open_archives.clear()  # as in a new process

    sources = {"folder": [f"{tmp_path}/{number}.bmp" for number in range(4)],
               "zip": [f"{tmp_path}/pack.zip:{number}.bmp" for number in range(4)]}
    for colour, expected in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        write(colour)
        for name, files in sources.items():
            sheets = write_sheets(tmp_path / name, files, SIZE, everything(4), workers=1)
            assert sheets.made == 1 and np.abs(colour_of(tmp_path / name, sheets, 1) - expected).max() <= 6
            assert write_sheets(tmp_path / name, files, SIZE, everything(4), workers=1).made == 0
