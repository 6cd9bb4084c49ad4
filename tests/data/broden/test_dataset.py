"""Broden-format folders: what the format allows, and one line for each thing that is wrong with one."""

import numpy as np
import pytest
import torch
from PIL import Image

from ibc.data.broden.dataset import load_broden
from ibc.errors import InputError
from tests.dissection.data import IMAGE, MAP, write_broden, write_plane


@pytest.fixture
def folder(tmp_path):
    return write_broden(tmp_path / "broden")


def test_reads_the_tables(folder):
    broden = load_broden(folder)
    assert broden.categories == ["color", "object", "part", "material", "scene"]
    assert broden.absent == ["texture"]
    assert (len(broden), broden.dropped) == (11, 1)
    assert broden.label_count == 301
    assert [broden.names[number] for number in (0, 1, 4, 300)] == ["", "red-c", "", "tall_tree"]
    # wood is an object and a material, with the larger coverage as a material; 0 and unused numbers: the last
    assert broden.primary[[1, 3, 5, 6, 7, 300, 0, 4]].tolist() == [0, 1, 3, 2, 4, 1, 4, 4]


def test_cells(folder):
    broden = load_broden(folder)
    first = broden.records[0]
    assert first.planes == ("i0_color.png", "i0_object.png", "i0_object2.png", 3, "i0_material.png")
    assert first.scalars == (7,)
    planes = broden.read_planes(0)
    assert planes.shape == (5, *MAP)
    assert (planes[3] == 3).all()  # a number beside a PNG is a plane of its own
    assert planes[2].max() == 300  # R + 256 G
    assert broden.records[2].scalars == (6,)
    assert broden.read_image(0).shape == (3, *IMAGE)


def test_an_image_with_labels_of_the_whole_image_only(folder):
    text = (folder / "index.csv").read_text().splitlines()
    text[1] = f"i0.png,train,{IMAGE[0]},{IMAGE[1]},{MAP[0]},{MAP[1]},,0,,,7;300,"
    (folder / "index.csv").write_text("\r\n".join(text))
    broden = load_broden(folder)
    assert broden.records[0].scalars == (7, 300)
    assert broden.read_planes(0).shape == (0, *MAP)


def test_only_the_chosen_categories_count(folder):
    broden = load_broden(folder, ("part", "scene"))
    assert broden.categories == ["part", "scene"]
    assert len(broden) == 6  # a scene in 0, 3, 6, 9; a part in 2 and 7
    assert all(not record.planes for record in broden.records)


def test_the_small_index(folder):
    assert len(load_broden(folder, index_file="index_sm.csv")) == 4


def test_fingerprint_follows_tables_and_files(folder):
    before = load_broden(folder).fingerprint()
    assert load_broden(folder).fingerprint() == before
    write_plane(folder / "images" / "i0_color.png", np.ones(MAP, np.int64))
    changed = load_broden(folder).fingerprint()
    assert changed != before
    with open(folder / "label.csv", "a") as handle:
        handle.write("\n")
    assert load_broden(folder).fingerprint() != changed


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(("name", "old", "new", "place", "message"), [
    ("index.csv", "32,40,19", "x,40,19", "index.csv:2", "ih 'x'"),
    ("index.csv", ",7,", ",9,", "index.csv:2", "label 9"),
    ("index.csv", ",7,", ",99999,", "index.csv:2", "label 99999"),
    ("index.csv", "i0_color.png", "../i0_color.png", "index.csv:2", "path '../i0_color.png'"),
    ("index.csv", ",material,", ",stuff,", "index.csv:1", "no column 'material'"),
    ("index.csv", "i1.png,train", "i1.png,train,extra", "index.csv:3", "13 fields"),
    ("index.csv", "40,19,23", "40,19,99999", "index.csv:2", "sw 99999"),
    ("category.csv", "name", "title", "category.csv:1", "no column 'name'"),
    ("category.csv", "object,", "color,", "category.csv:3", "'color' a second time"),
    ("label.csv", "300,", "3,", "label.csv:8", "number 3 a second time"),
    ("label.csv", "300,", "70000,", "label.csv:8", "number 70000"),
    ("label.csv", "dog", "", "label.csv:4", "without a name"),
    ("c_color.csv", "3.5", "much", "c_color.csv:2", "coverage 'much'"),
    ("c_color.csv", "1,1,", "1,900,", "c_color.csv:2", "number 900"),
])
def test_a_bad_table_is_named_with_its_line(folder, name, old, new, place, message):
    replace(folder / name, old, new)
    with pytest.raises(InputError) as caught:
        load_broden(folder)
    assert place in str(caught.value) and message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["index.csv", "category.csv", "label.csv", "c_scene.csv"])
def test_a_missing_table_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name}: found no such file"):
        load_broden(folder)


def test_missing_pictures_are_found_before_the_run(folder):
    for name in ("i3.png", "i4_object.png"):
        (folder / "images" / name).unlink()
    with pytest.raises(InputError, match=r"index.csv:5: .*i3.png: found no such file \(and 1 more\)"):
        load_broden(folder).fingerprint()


def test_bad_pictures_are_named(folder):
    broden = load_broden(folder)
    images = folder / "images"
    write_plane(images / "i0_color.png", np.ones((5, 5), np.int64))
    with pytest.raises(InputError, match=r"i0_color.png: found 5 x 5 pixels, expected 19 x 23"):
        broden.read_planes(0)
    write_plane(images / "i0_color.png", np.full(MAP, 301))
    with pytest.raises(InputError, match=r"i0_color.png: found label 301, expected labels up to 300"):
        broden.read_planes(0)
    write_plane(images / "i0_color.png", np.full(MAP, 4))  # an unused number: counted, under no name
    assert (broden.read_planes(0)[0] == 4).all()
    Image.fromarray(np.ones(MAP, np.uint8)).save(images / "i0_color.png")
    with pytest.raises(InputError, match="mode L"):
        broden.read_planes(0)
    (images / "i0_color.png").write_bytes((images / "i0_object.png").read_bytes()[:60])
    with pytest.raises(InputError, match="broken picture"):
        broden.read_planes(0)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(images / "i0.png")
    with pytest.raises(InputError, match=r"index.csv:2: .*i0.png: found 8 x 8 pixels, expected 32 x 40 pixels"):
        broden.read_image(0)


def test_both_decoders_give_the_same_pixels(golden_photographs):
    broden = load_broden(golden_photographs / "dissect_data")
    for index in range(8):
        assert torch.equal(broden.read_image(index, "turbo"), broden.read_image(index, "pillow"))


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load_broden(tmp_path / "nothing")


def test_a_reference_data_set(golden_photographs):
    broden = load_broden(golden_photographs / "dissect_data")
    assert (len(broden), broden.categories, broden.absent) == (60, ["color", "object", "material", "scene"],
                                                               ["part", "texture"])
    assert broden.categories[broden.primary[24]] == "material"  # pavement, an object too
    assert max(int(broden.read_planes(index).max(initial=0)) for index in range(len(broden))) == 261
