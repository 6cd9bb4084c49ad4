"""Concept scenes: the classes, what is drawn against slow twins, the files, resuming."""

import csv
import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibc.data.list_file import read_list
from ibc.datasets.concept_scenes import (
    CLASSES,
    CONCEPTS,
    Settings,
    attribute_names,
    class_names,
    draw,
    generate,
    vocabulary,
)
from ibc.datasets.concept_scenes import dataset as dataset_module
from ibc.datasets.concept_scenes.__main__ import main
from ibc.datasets.concept_scenes.canvas import Canvas, Pose
from ibc.datasets.concept_scenes.dataset import Task, picture_of
from ibc.datasets.concept_scenes.drawing import _RGB
from ibc.datasets.concept_scenes.shapes import part, shape
from ibc.datasets.prepare.broden import check_broden
from ibc.errors import InputError
from ibc.files import sha256

SETTINGS = Settings(train=60, test=24, broden=48, size=96, seed=3)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "data"
    generate(folder, SETTINGS, workers=1)
    return folder


@pytest.fixture(scope="module")
def pictures():
    """Two pictures of every class, with their class."""
    return [(CLASSES[i % len(CLASSES)], draw(CLASSES[i % len(CLASSES)], np.random.default_rng([7, i]), 160))
            for i in range(2 * len(CLASSES))]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# The classes


def test_classes_are_balanced_compositions():
    assert len(CLASSES) >= 20 and len(attribute_names()) >= 25
    assert len(set(class_names())) == len(CLASSES) and len(set(attribute_names())) == len(attribute_names())
    for category, names in CONCEPTS.items():
        uses = Counter(getattr(item, category) for item in CLASSES)
        assert set(uses) <= set(names)
        assert len(set(uses.values())) == 1 and 3 <= min(uses.values()) <= 4, category


def test_twins_share_scene_and_colour_and_no_other_pair_shares_more_than_one():
    twins = []
    for one, other in itertools.combinations(CLASSES, 2):
        if one.shares(other) > 1:
            assert one.shares(other) == 2
            assert (one.scene, one.color) == (other.scene, other.color)
            twins.append(one.scene)
    assert sorted(twins) == sorted(CONCEPTS["scene"])
    own = {"sea": "blue", "grass": "green", "sand": "beige", "night sky": "black", "brick": "brown", "snow": "white"}
    assert all(item.color != own[item.scene] for item in CLASSES)


# What is drawn


def in_polygon(points: np.ndarray, x: float, y: float) -> bool:
    """The even-odd rule, an edge at a time."""
    inside = False
    for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


@pytest.mark.parametrize("name", vocabulary.SHAPES)
def test_a_filled_shape_covers_the_pixels_of_its_outline(name):
    size, pose = 48, Pose(21.3, 24.8, 15.0, 0.6)
    canvas = Canvas(np.zeros((size, size, 3), np.float32), np.zeros((size, size), np.uint8))
    canvas.fill(shape(name), pose, "red", np.float32([200, 10, 10]), {"object": 5})
    outlines = [pose.place(points) for points in shape(name)]
    expected = np.array([[in_polygon(outlines[0], x + 0.5, y + 0.5)
                          and not any(in_polygon(hole, x + 0.5, y + 0.5) for hole in outlines[1:])
                          for x in range(size)] for y in range(size)])
    drawn = canvas.planes["object"] == 5
    borders = sum((expected != np.roll(expected, 1, axis)).sum() for axis in (0, 1))
    assert (expected & ~drawn).sum() < 0.1 * borders
    assert (drawn & ~expected).sum() < 0.4 * borders  # Pillow fills half a (finer) pixel beyond the outline
    centres = [np.argwhere(mask).mean(0) for mask in (drawn, expected)]
    assert np.abs(centres[0] - centres[1]).max() < 0.4  # pixels
    red = canvas.pixels[..., 0] > 100
    assert (red == drawn).mean() > 0.99
    assert (canvas.planes["color"][drawn] == 1 + CONCEPTS["color"].index("red")).all()


def test_a_shape_outside_the_picture_changes_nothing():
    canvas = Canvas(np.zeros((32, 32, 3), np.float32), np.zeros((32, 32), np.uint8))
    canvas.fill(shape("disc"), Pose(-40, 10, 8, 0), "red", np.float32([200, 10, 10]), {"object": 1}, edge=2)
    assert not canvas.pixels.any() and not canvas.planes["object"].any()


def test_attributes_say_what_the_label_maps_show(pictures):
    for composition, picture in pictures:
        expected = []
        for category, names in CONCEPTS.items():
            for number, name in enumerate(names, start=1):
                if category == "scene":
                    expected.append(name == composition.scene)
                    continue
                shown = sum(int(value) == number for row in picture.maps[category] for value in row)
                expected.append(shown / picture.maps[category].size >= vocabulary.LEAST_SHARE[category])
        assert picture.attributes.tolist() == expected


def test_the_figure_shows_its_composition_and_nothing_else_counts(pictures):
    names = attribute_names()
    full = 0
    for composition, picture in pictures:
        shown = {name for name, value in zip(names, picture.attributes, strict=True) if value}
        own = {composition.object, composition.texture, composition.part, composition.scene}
        assert shown - set(CONCEPTS["color"]) <= own
        full += own | {composition.color} <= shown
    assert full > 0.9 * len(pictures)  # the others stand partly outside the frame


def test_pixels_have_the_colour_their_label_names(pictures):
    """Median colour of every well-visible figure colour: hue within 25 degrees of the named one."""

    def hue(rgb):
        high, low = max(rgb), min(rgb)
        red, green, blue = rgb
        sector = {red: (green - blue) / (high - low) % 6, green: (blue - red) / (high - low) + 2,
                  blue: (red - green) / (high - low) + 4}
        return 60 * sector[high]

    checked = 0
    for composition, picture in pictures:
        if composition.color == "black":
            continue
        small = picture.pixels[1::2, 1::2].astype(float)
        mask = (picture.maps["object"] > 0) & (picture.maps["color"] == vocabulary.label("color", composition.color))
        turn = abs(hue(np.median(small[mask], axis=0)) - hue(np.float64(_RGB[composition.color])))
        assert min(turn, 360 - turn) < 25, composition.name
        checked += 1
    assert checked >= 40


def test_light_and_dark_follow_the_colour_map(pictures):
    """White pixels are lighter than black ones, in the same picture."""
    for _, picture in pictures:
        grey = picture.pixels[1::2, 1::2].mean(axis=2)
        white, black = (picture.maps["color"] == vocabulary.label("color", name) for name in ("white", "black"))
        if white.sum() > 50 and black.sum() > 50:
            assert grey[white].mean() > grey[black].mean() + 60


@pytest.mark.parametrize("name", vocabulary.PARTS)
def test_parts_are_neutral_and_reach_into_the_figure(name):
    assert {color for _, color in part(name).pieces} <= {"white", "grey", "black"}
    points = np.concatenate([region[0] for region, _ in part(name).pieces])
    assert np.hypot(*points.T).min() < 1


def test_pictures_of_a_class_differ_and_repeat():
    one, other = (draw(CLASSES[0], np.random.default_rng([0, i]), 96) for i in (0, 1))
    again = draw(CLASSES[0], np.random.default_rng([0, 0]), 96)
    assert (one.pixels == again.pixels).all() and all((one.maps[key] == again.maps[key]).all() for key in one.maps)
    assert np.abs(one.pixels.astype(int) - other.pixels).mean() > 5


def test_odd_sizes_have_maps_of_half_the_size_rounded_down():
    picture = draw(CLASSES[1], np.random.default_rng(0), 227)
    assert picture.pixels.shape == (227, 227, 3)
    assert {plane.shape for plane in picture.maps.values()} == {(113, 113)}


# The files


def test_lists_classes_and_manifest_agree(made):
    manifest = json.loads((made / "manifest.json").read_text())
    assert (made / "classes.txt").read_text().splitlines() == class_names() == manifest["classes"]
    assert (made / "attributes.txt").read_text().splitlines() == attribute_names() == manifest["attributes"]
    for split in ("train", "test"):
        images = read_list(f"{split}.txt", made, class_num=len(CLASSES))
        assert len(images) == getattr(SETTINGS, split) == manifest["lists"][f"{split}.txt"]["images"]
        assert manifest["lists"][f"{split}.txt"]["sha256"] == sha256(made / f"{split}.txt")
        for index, (file, labels) in enumerate(zip(images.files, images.labels, strict=True)):
            picture = picture_of(SETTINGS, Task(split, index))
            assert labels.tolist() == [index % len(CLASSES), *picture.attributes.tolist()]
            stored = np.asarray(Image.open(file)).astype(int)
            assert np.abs(stored - picture.pixels).mean() < 12  # the same picture, but for JPEG
    assert not (made / ".unfinished").exists()
    assert Image.open(made / "overview.jpg").width > 6 * SETTINGS.size


def test_train_test_and_broden_pictures_differ(made):
    stored = [path.read_bytes() for path in made.rglob("*.jpg")]
    assert len(set(stored)) == len(stored)


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


def test_broden_tables_are_true_of_the_maps(made):
    """Frequencies and coverages recomputed from the stored PNGs, pixel by pixel."""
    broden = made / "broden"
    facts = check_broden(broden)
    assert facts["images"] == SETTINGS.broden and facts["label_map_sizes"] == "48x48"
    labels = {int(row["number"]): row for row in rows_of(broden / "label.csv")}
    categories = [row["name"] for row in rows_of(broden / "category.csv")]
    frequency, coverage = Counter(), Counter()
    with_category = Counter()
    for row in rows_of(broden / "index.csv"):
        size = int(row["sh"]) * int(row["sw"])
        for category in categories:
            with_category[category] += bool(row[category])
            if row[category].isdigit():
                frequency[int(row[category])] += 1
                coverage[int(row[category])] += 1
            elif row[category]:
                pixels = Counter(red + 256 * green for red, green, _ in
                                 np.asarray(Image.open(broden / "images" / row[category])).reshape(-1, 3).tolist())
                assert set(pixels) - {0}, "a stored map shows something"
                for number in set(pixels) - {0}:
                    assert labels[number]["category"].split("(")[0] == category
                    frequency[number] += 1
                    coverage[number] += pixels[number] / size
    assert set(labels) == set(frequency)
    assert max(labels) > 255
    for number, row in labels.items():
        assert int(row["frequency"]) == frequency[number]
        assert float(row["coverage"]) == pytest.approx(coverage[number], abs=6e-6)
        assert row["category"] == f"{row['category'].split('(')[0]}({row['frequency']})"
    for row in rows_of(broden / "category.csv"):
        own = [number for number in labels if labels[number]["category"].startswith(f"{row['name']}(")]
        assert [int(row[key]) for key in ("first", "last", "count", "frequency")] == [
            min(own), max(own), len(own), with_category[row["name"]]]
        codes = rows_of(broden / f"c_{row['name']}.csv")
        assert [int(code["code"]) for code in codes] == list(range(1, len(own) + 1))
        assert [int(code["number"]) for code in codes] == sorted(own)
        for code in codes:
            same = labels[int(code["number"])]
            assert all(code[key] == same[key] for key in ("name", "frequency", "coverage"))


def test_broden_maps_hold_the_masks_of_the_picture(made):
    base = {"color": 1, "object": 101, "part": 201, "texture": 301}
    for index, row in enumerate(rows_of(made / "broden" / "index.csv")):
        picture = picture_of(SETTINGS, Task("broden", index))
        scene = CONCEPTS["scene"].index(CLASSES[index % len(CLASSES)].scene)
        assert int(row["scene"]) == 401 + scene
        for category, first in base.items():
            plane = picture.maps[category].astype(int)
            expected = np.where(plane, plane + first - 1, 0)
            if not row[category]:
                assert not expected.any()
                continue
            stored = np.asarray(Image.open(made / "broden" / "images" / row[category])).astype(int)
            assert (stored[..., 0] + 256 * stored[..., 1] == expected).all()


def test_without_masks_there_is_no_broden_folder(tmp_path):
    generate(tmp_path / "d", Settings(train=2, test=1, broden=0, size=64), workers=1)
    assert not (tmp_path / "d" / "broden").exists()


# Repeating and resuming


def test_files_do_not_depend_on_the_number_of_workers(made, tmp_path):
    generate(tmp_path / "d", SETTINGS, workers=2)
    assert contents(tmp_path / "d") == contents(made)


def test_an_interrupted_run_continues_where_it_stopped(made, tmp_path, monkeypatch):
    drawn, limit = [], 70

    def counted(settings, task):
        if len(drawn) == limit:
            raise KeyboardInterrupt
        drawn.append(task)
        return picture_of(settings, task)

    monkeypatch.setattr(dataset_module, "picture_of", counted)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "d", SETTINGS, workers=1)
    assert not (tmp_path / "d" / "manifest.json").exists()
    journal = tmp_path / "d" / ".unfinished" / "done.jsonl"
    finished = len(journal.read_text().splitlines())
    assert 0 < finished < limit
    journal.write_text(journal.read_text() + '["train", 9')  # a line torn by a kill
    with pytest.raises(InputError, match="seed"):
        generate(tmp_path / "d", Settings(**{**vars(SETTINGS), "seed": 4}), workers=1)
    drawn.clear()
    limit = 10**6
    generate(tmp_path / "d", SETTINGS, workers=1)
    assert len(drawn) == SETTINGS.train + SETTINGS.test + SETTINGS.broden - finished + len(CLASSES)  # + the overview
    assert contents(tmp_path / "d") == contents(made)


def test_a_second_run_does_nothing_and_a_missing_picture_is_drawn_again(tmp_path, monkeypatch):
    settings = Settings(train=6, test=3, broden=3, size=64)
    manifest = generate(tmp_path, settings, workers=1)
    before = contents(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(dataset_module, "_draw_all", None)  # would fail if it were called
        assert generate(tmp_path, settings, workers=1) == manifest
    (tmp_path / "images" / "test" / "000001.jpg").unlink()
    generate(tmp_path, settings, workers=1)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("flags", "said"), [
    (["--size", "10"], "--size: found 10, expected a number from 64 to 1024"),
    (["--train", "0"], "--train: found 0"),
    (["--seed", "-1"], "--seed: found '-1'"),
    (["--broden", "-2"], "--broden: found -2"),
    (["--train", "many"], "invalid int value: 'many'"),
])
def test_bad_flags_are_one_line(tmp_path, capsys, flags, said):
    try:
        code = main([str(tmp_path / "d"), *flags])
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and error.startswith("error: ") and said in error and error.count("\n") == 1
    assert not (tmp_path / "d").exists()


def test_help_shows_an_example(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert "example:\n  python -m ibc.data.concept_scenes data/scenes --train 3600" in capsys.readouterr().out


def test_other_settings_and_foreign_folders_are_refused(tmp_path, capsys):
    small = ["--test", "1", "--broden", "0", "--size", "64", "--workers", "1"]
    assert main([str(tmp_path / "d"), "--train", "2", *small]) == 0
    assert main([str(tmp_path / "d"), "--train", "2", *small]) == 0
    assert "nothing to do" in capsys.readouterr().out
    before = contents(tmp_path / "d")
    assert main([str(tmp_path / "d"), "--train", "3", *small]) == 2
    assert "found pictures made with train 2, expected train 3" in capsys.readouterr().err
    assert contents(tmp_path / "d") == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    assert main([str(tmp_path / "mine"), *small]) == 2
    assert "files that this command did not make" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.json").write_text("[]")
    assert main([str(tmp_path / "other"), *small]) == 2
    assert "manifest.json" in capsys.readouterr().err
