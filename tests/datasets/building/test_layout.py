"""Layouts of published sets: which folders are classes, which are splits, what is left out."""

from __future__ import annotations

import pytest

from ibc.commands.prepare import COMMAND as main
from ibc.datasets.building.layout import read_layout
from tests.datasets.preparing import class_tree, prepare, rows, skipped
from tests.datasets.replicas import jpeg, write_tree

CLASSES = ("finch", "wren")


def files(pattern: str, classes=CLASSES, count=2) -> list[str]:
    return [pattern.format(c=label, i=number) for label in classes for number in range(count)]


LAYOUTS = {  # layout -> its files, and the splits it has
    "classes": (files("{c}/{i}.jpg"), set()),
    "wrapped": ([*files("wrap/{c}/{i}.jpg"), "README.md"], set()),
    "birds": ([*files("BIRDS/images/{c}/{i}.jpg"), "BIRDS/images.txt", "BIRDS/parts/parts.txt",
               "BIRDS/attributes/a.txt"], set()),
    "masks beside": (files("images/{c}/{i}.jpg") + files("masks/{c}/{i}.png"), set()),
    "annotations beside": (files("Images/{c}/{i}.jpg") + files("Annotation/{c}/{i}.xml"), set()),
    "split": (files("train/{c}/{i}.jpg") + files("test/{c}/{i}.jpg"), {"train", "test"}),
    "capitals": (files("Training/{c}/{i}.jpg") + files("Testing/{c}/{i}.jpg"), {"train", "test"}),
    "twice": (files("train/train/{c}/{i}.jpg") + files("val/val/{c}/{i}.jpg") + files("test/test/{c}/{i}.jpg"),
              {"train", "val", "test"}),
    "dev": (files("train/{c}/{i}.jpg") + files("dev/{c}/{i}.jpg") + files("test/{c}/{i}.jpg"),
            {"train", "val", "test"}),
    "val alone": (files("train/{c}/{i}.jpg") + files("validation/{c}/{i}.jpg"), {"train", "test"}),
    "seg": ([*files("seg_train/seg_train/{c}/{i}.jpg"), *files("seg_test/seg_test/{c}/{i}.jpg"),
             "seg_pred/seg_pred/1.jpg"], {"train", "test"}),
    "sets": (files("training_set/training_set/{c}/{i}.jpg") + files("test_set/test_set/{c}/{i}.jpg"),
             {"train", "test"}),
    "joined": (files("trainset/{c}/{i}.jpg") + files("testset/{c}/{i}.jpg"), {"train", "test"}),
    "named": (files("birds_train/{c}/{i}.jpg") + files("birds_test/{c}/{i}.jpg"), {"train", "test"}),
    "years": (files("train2017/{c}/{i}.jpg") + files("val2017/{c}/{i}.jpg"), {"train", "test"}),
    "extra": (files("train/{c}/{i}.jpg") + files("test/{c}/{i}.jpg") + ["samples/a.jpg"], {"train", "test"}),
    "images below": (files("train/images/{c}/{i}.jpg") + files("test/images/{c}/{i}.jpg"), {"train", "test"}),
    "below images": (files("data/images/train/{c}/{i}.jpg") + files("data/images/test/{c}/{i}.jpg"), {"train", "test"}),
    "split in class": (files("{c}/train/{i}.jpg") + files("{c}/test/{i}.jpg"), {"train", "test"}),
    "tiny": (files("train/{c}/images/{i}.jpg") + files("val/images/x{c}{i}.jpg") + files("test/images/{c}{i}.jpg"),
             {"train", "val", "test"}),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("wrapper", ["", "my set/"])
def test_published_layouts_are_understood(name, wrapper):
    paths, given = LAYOUTS[name]
    layout = read_layout([wrapper + path for path in paths], by_class=True)
    labelled = [place.split("/") for place in layout.places.values() if place.endswith("g") and place.count("/") > 1]
    assert {parts[1] for parts in labelled} == set(CLASSES) and layout.given == given
    assert {parts[0] for parts in labelled} <= (given or {""})
    images = sum(path.endswith("g") for path in paths)
    assert len({place for place in layout.places.values() if place.endswith("g")}) + len(layout.left_out) == images


def test_classes_may_have_the_names_of_splits():
    for paths in (["car/1.jpg", "train/1.jpg"], ["train_station/a/1.jpg", "test_tube/a/1.jpg", "car/a/1.jpg"],
                  ["train/1.jpg", "test/1.jpg", "car/1.jpg"]):
        layout = read_layout(paths, by_class=True)
        assert not layout.given and list(layout.places.values()) == [f"/{path}" for path in paths]


def tree(paths):
    return {path: jpeg(number) if path.endswith("g") else b"text" for number, path in enumerate(paths)}


@pytest.mark.parametrize("paths, seen", [
    (["images/1.jpg", "images/2.jpg"], "'images'"), (["a/images/1.jpg", "a/annotations/trimaps/1.png"], "'images'"),
    (["VOC/JPEGImages/1.jpg", "VOC/SegmentationClass/1.png"], "'JPEGImages'"),
    (["train/a/1.jpg", "unlabelled/a/1.jpg", "valid/a/1.jpg", "val/a/1.jpg"], "'train', 'unlabelled', 'val' …"),
    (["train.zip", "test.zip"], "2 archives ('test.zip', 'train.zip')"),
    (["1.jpg", "2.jpg"], "2 images outside of any"),
    (["notes.txt"], "1 other files"), ([], "no file at all")])
def test_what_has_no_classes_is_refused_with_what_was_seen(tmp_path, capsys, paths, seen):
    (tmp_path / "src").mkdir()
    write_tree(tmp_path / "src", tree(paths))
    assert main(["folder", str(tmp_path / "src"), str(tmp_path / "out"), "--workers", "1"]) == 2
    assert seen in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_splits_that_no_pair_explains_are_refused(tmp_path, capsys):
    write_tree(tmp_path / "src", tree(["train/a/1.jpg", "valid/a/1.jpg", "val/a/1.jpg"]))
    assert main(["folder", str(tmp_path / "src"), str(tmp_path / "out"), "--workers", "1"]) == 2
    assert "the folders 'train', 'val', 'valid' where the classes should be" in capsys.readouterr().err


def test_what_is_left_out_is_said(tmp_path):
    write_tree(tmp_path / "src", tree([*files("train/{c}/{i}.jpg"), *files("test/{c}/{i}.jpg", ("wren",)),
                                       "other/a.jpg", "train/notes/n.txt"]))
    (tmp_path / "src" / "train" / "owl").mkdir()
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out")
    assert skipped(tmp_path / "out") == {"other/a.jpg": "beside test and train"}
    notes = "\n".join(manifest["notes"])
    for note in ("1 folders are empty, such as 'train/owl'", "left out: 1 images beside test and train",
                 "no class: 'notes', without an image (1 files)",
                 "1 classes of train without an image in test: 'finch'"):
        assert note in notes


@pytest.mark.parametrize("tops", [("query", "gallery"), ("fold_1", "fold_2"), ("train", "unlabeled")])
def test_other_parts_of_a_set_are_no_classes(tmp_path, capsys, tops):
    write_tree(tmp_path / "src", tree(files(tops[0] + "/{c}/{i}.jpg") + files(tops[1] + "/{c}/{i}.jpg")))
    assert main(["folder", str(tmp_path / "src"), str(tmp_path / "out"), "--workers", "1"]) == 2
    assert "where the classes should be" in capsys.readouterr().err


def test_classes_that_hold_the_same_folders_are_said(tmp_path):
    write_tree(tmp_path / "src", tree(files("monday/{c}/{i}.jpg") + files("tuesday/{c}/{i}.jpg")))
    [note] = prepare("folder", tmp_path / "src", tmp_path / "out")["notes"]
    assert note.startswith("each of the classes 'monday', 'tuesday' holds the folders 'finch', 'wren'")


def test_odd_classes_are_said(tmp_path):
    write_tree(tmp_path / "src", tree(["car/old/1.jpg", "car/new/2.jpg", "samples/3.jpg", "samples/4.jpg"]))
    notes = "\n".join(prepare("folder", tmp_path / "src", tmp_path / "out")["notes"])
    assert "2 images lie in folders below those taken as classes, such as 'car/new/2.jpg'" in notes
    assert "class names 'samples' look like those of splits or containers" in notes


def test_a_class_whose_images_are_all_damaged_is_said(tmp_path):
    write_tree(tmp_path / "src", class_tree(2) | {"cat/1.jpg": b"no image", "cat/2.jpg": b""})
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out")
    assert manifest["notes"] == ["1 classes without a usable image, such as 'cat'; they keep their ids"]


def test_a_test_split_without_class_folders_is_said(tmp_path):
    write_tree(tmp_path / "src", tree([*files("train/{c}/{i}.jpg", count=3), "test/1.jpg", "test/2.jpg"]))
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out")
    assert manifest["notes"] == ["no image of 'test' has a class folder"] and manifest["rule"].startswith("test: 0.1")
    assert len(skipped(tmp_path / "out")) == 2 and len(rows(tmp_path / "out", "test.txt")) == 2


def test_accents_composed_otherwise_are_one_class(tmp_path):
    write_tree(tmp_path / "src", tree(["train/caf\xe9/1.jpg", "train/tea/1.jpg", "test/cafe\u0301/1.jpg",
                                       "test/tea/1.jpg"]))
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out")
    assert len(manifest["classes"]) == 2 and not manifest["notes"]
