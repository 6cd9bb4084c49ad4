"""prepare folder: sources, splits, names, tables, links."""

from __future__ import annotations

import hashlib

import pytest
from PIL import Image

from ibc.commands.prepare import COMMAND as main
from ibc.config import load_config
from ibc.data.list_file import read_list
from ibc.data.loader import images_for_training
from tests.datasets.preparing import class_tree, prepare, rows, skipped
from tests.datasets.replicas import encode, exif, jpeg, picture, write_tar, write_tree, write_zip


@pytest.mark.parametrize("container", ["folder", "zip", "stored", "tar", "tar.gz"])
def test_the_source_may_be_a_folder_or_any_archive(tmp_path, container):
    files = {f"wrap/{name}": data for name, data in class_tree().items()}
    source = tmp_path / f"src.{container}"
    {"folder": lambda: write_tree(source, files), "zip": lambda: write_zip(source, files),
     "stored": lambda: write_zip(source, files, 0), "tar": lambda: write_tar(source, files),
     "tar.gz": lambda: write_tar(source, files, "w:gz")}[container]()
    manifest = prepare("folder", source, tmp_path / "out", "--test_share", 0.25)
    assert manifest["classes"] == ["ant", "bee"]
    train, test = rows(tmp_path / "out", "train.txt"), rows(tmp_path / "out", "test.txt")
    assert len(train) == 6
    assert sorted(row for [row] in test.values()) == [0, 1]
    assert set(train) | set(test) == {name[:-4] for name in class_tree()}
    for name in (*train, *test):
        with Image.open(tmp_path / "out" / "images" / f"{name}.jpg") as image:
            assert image.size == (274, 256)  # 300 x 280


def test_the_manifest_proves_the_lists(tmp_path):
    write_tree(tmp_path / "src", class_tree())
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out")
    for file, facts in manifest["lists"].items():
        assert facts["sha256"] == hashlib.sha256((tmp_path / "out" / file).read_bytes()).hexdigest()
        assert facts["images"] == len(rows(tmp_path / "out", file))
    assert (tmp_path / "out" / "classes.txt").read_text().split() == ["ant", "bee"]


def test_top_folders_are_the_split_and_a_lone_val_is_the_test(tmp_path):
    files = {f"{split}/{name}": data for split in ("train", "val") for name, data in class_tree(2).items()}
    write_tree(tmp_path / "src", files)
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out")
    assert manifest["rule"] == "the split of the source's top folders"
    assert set(rows(tmp_path / "out", "train.txt")) == {"train/ant/0", "train/ant/1", "train/bee/0", "train/bee/1"}
    assert set(rows(tmp_path / "out", "test.txt")) == {"test/ant/0", "test/ant/1", "test/bee/0", "test/bee/1"}


def test_a_class_may_be_called_train(tmp_path):
    write_tree(tmp_path / "src", class_tree(2, ("car", "train")))
    assert prepare("folder", tmp_path / "src", tmp_path / "out")["classes"] == ["car", "train"]


def test_the_seeded_split_is_stable_when_images_come_and_go(tmp_path):
    write_tree(tmp_path / "src", class_tree(12))
    prepare("folder", tmp_path / "src", tmp_path / "out", "--test_share", 0.25, "--seed", 3)
    prepare("folder", tmp_path / "src", tmp_path / "other", "--test_share", 0.25, "--seed", 4)
    before = set(rows(tmp_path / "out", "test.txt"))
    assert before != set(rows(tmp_path / "other", "test.txt"))
    gone = sorted(set(rows(tmp_path / "out", "train.txt")))[0]
    (tmp_path / "src" / f"{gone}.jpg").unlink()
    prepare("folder", tmp_path / "src", tmp_path / "third", "--test_share", 0.25, "--seed", 3)
    assert set(rows(tmp_path / "third", "test.txt")) == before


def test_small_images_are_kept_byte_for_byte(tmp_path):
    files = {"a/grey.jpg": encode(picture(1, 32, 32, "L")), "a/b.jpeg": jpeg(2, 256, 400), "a/c.PNG":
             encode(picture(3, 40, 30), "PNG")}
    write_tree(tmp_path / "src", files)
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out", "--test_share", 0)
    assert manifest["images"]["kept"] == 3
    for name, stored in (("a/grey.jpg",) * 2, ("a/b.jpeg", "a/b.jpg"), ("a/c.PNG", "a/c.png")):
        assert (tmp_path / "out" / "images" / stored).read_bytes() == files[name]


def test_names_that_differ_only_in_their_ending_stay_apart(tmp_path):
    write_tree(tmp_path / "src", {"a/1.jpg": jpeg(1), "a/1.jpeg": jpeg(2), "a/1.png": encode(picture(3), "PNG"),
                                  "a/with space.jpg": jpeg(4), "a/#x.jpg": jpeg(5)})
    prepare("folder", tmp_path / "src", tmp_path / "out", "--test_share", 0)
    assert len(rows(tmp_path / "out", "train.txt")) == 5


def test_attributes_follow_the_class(tmp_path):
    write_tree(tmp_path / "src", class_tree(2))
    (tmp_path / "a.csv").write_text("image;red;round\nant/0.jpg;1;-1\n./bee/1;0;\nbee/9.jpg;1;1\n")
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out", "--attributes", tmp_path / "a.csv",
                       "--test_share", 0)
    assert manifest["attributes"] == ["red", "round"]
    text = (tmp_path / "out" / "train.txt").read_text().splitlines()
    assert text == ["images/ant/0.jpg 0 1 -1", "images/ant/1.jpg 0 2 2", "images/bee/0.jpg 1 2 2",
                    "images/bee/1.jpg 1 0 2"]
    assert skipped(tmp_path / "out") == {"bee/9.jpg": "no such image (a.csv, line 4)"}


def test_a_table_can_stand_in_for_class_folders(tmp_path):
    write_tree(tmp_path / "src", {"1.jpg": jpeg(1), "2.jpg": jpeg(2), "3.jpg": jpeg(3)})
    (tmp_path / "a.csv").write_text("image\tred\n1\t1\n2.jpg\t0\n")
    prepare("folder", tmp_path / "src", tmp_path / "out", "--attributes", tmp_path / "a.csv", "--test_share", 0)
    assert rows(tmp_path / "out", "train.txt") == {"1": [99999, 1], "2": [99999, 0]}
    assert skipped(tmp_path / "out") == {"3.jpg": "not in a class folder"}


def test_label_vectors_come_with_class_weights(tmp_path):
    files = {f"train/{number}.jpg": jpeg(number) for number in range(4)} | {"test/9.jpg": jpeg(9)}
    write_tree(tmp_path / "src", files)
    (tmp_path / "l.csv").write_text("image,sky,sea,cat\n0.jpg,1,0,0\n1.jpg,1,1,0\n2.jpg,1,0,0\n3.jpg,0,0,0\n"
                                    "9.jpg,1,1,1\n")
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out", "--labels", tmp_path / "l.csv")
    assert manifest["classes"] == ["sky", "sea", "cat"]
    assert manifest["class_weights"] == [0.33, 3.0, 1.0]  # 1/3, 3/1, none
    read_list("train.txt", tmp_path / "out", class_num=3, multi_label=True)
    assert rows(tmp_path / "out", "train.txt")["train/1"] == [1, 1, 0]
    assert rows(tmp_path / "out", "test.txt") == {"test/9": [1, 1, 1]}


@pytest.mark.parametrize("text, complaint", [
    ("image,red\nant/0.jpg,3\n", "a.csv:2: found '3'"),
    ("image,red\nant/0.jpg\n", "a.csv:2: found 0 values, expected 1"),
    ("image,red\nant/0.jpg,1\nant/0.jpg,1\n", "a.csv:3: found 'ant/0.jpg' again"),
    ("image,red,red\nant/0.jpg,1,1\n", "a.csv:1: found two columns 'red'"),
    ("ant/0.jpg,1\n", "a.csv:1: found values in the first line"),
    ("image,red\nnothing.jpg,1\n", "a.csv:2: found no image of the source"),
])
def test_faults_of_a_table_are_named_with_their_line(tmp_path, capsys, text, complaint):
    write_tree(tmp_path / "src", class_tree(1))
    (tmp_path / "a.csv").write_text(text)
    assert main(["folder", str(tmp_path / "src"), str(tmp_path / "out"), "--attributes", str(tmp_path / "a.csv")]) == 2
    assert complaint in capsys.readouterr().err


def test_link_leaves_plain_originals_where_they_are(tmp_path):
    files = class_tree(1) | {"bee/turned.jpg": encode(picture(5), exif=exif(6))}
    write_tree(tmp_path / "src", files)
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out", "--link", "--test_share", 0)
    assert (manifest["images"]["linked"], manifest["images"]["converted"]) == (2, 1)
    link = tmp_path / "out" / "images" / "ant" / "0.jpg"
    assert link.is_symlink() and link.read_bytes() == files["ant/0.jpg"]
    assert not (tmp_path / "out" / "images" / "bee" / "turned.jpg").is_symlink()
    write_zip(tmp_path / "src.zip", files)
    assert main(["folder", str(tmp_path / "src.zip"), str(tmp_path / "out2"), "--link"]) == 2


@pytest.mark.parametrize("name", ["2024", "no", "null", "a b", "gr\udcfcn", "-", "{x}", "a: b", "x" * 255, "\u732b"])
def test_the_config_of_any_destination_loads(tmp_path, name):
    write_tree(tmp_path / "src", class_tree(2))
    destination = tmp_path / name
    prepare("folder", tmp_path / "src", destination)
    config = load_config(destination / "config.yaml")
    assert config.data_folder == f"{destination}/" and len(images_for_training(config)) == 2


def test_odd_file_names_are_prepared_and_read_back(tmp_path):
    names = ["line\u2028sep.jpg", "new\nline.jpg", "next\x85.jpg", "b\udcff.jpg", "y" * 255, "y" * 251 + ".jpg",
             "\\u000a x.jpg"]
    files = {f"{label}/{name}": jpeg(number) for label in ("gr\udcfcn", "a\nb", "caf\xe9")
             for number, name in enumerate(names)}
    write_tree(tmp_path / "src", files | {"caf\xe9/n\nothing\udcfc.jpg": b"no image"})
    manifest = prepare("folder", tmp_path / "src", tmp_path / "out", "--test_share", 0)
    assert manifest["classes"] == ["a\nb", "caf\xe9", "gr\udcfcn"]
    assert len(rows(tmp_path / "out", "train.txt")) == 21
    assert (tmp_path / "out" / "classes.txt").read_text(encoding="utf-8") == "a b\ncaf\xe9\ngr\\xfcn\n"
    assert list(skipped(tmp_path / "out")) == ["caf\xe9/n othing\\xfc.jpg"]
    assert prepare("folder", tmp_path / "src", tmp_path / "out", "--test_share", 0) == manifest


def test_a_table_in_another_encoding_stops_before_the_work(tmp_path, capsys):
    write_tree(tmp_path / "src", class_tree(1))
    (tmp_path / "a.csv").write_bytes("image,gr\xfcn\nant/0.jpg,1\n".encode("cp1252"))
    assert main(["folder", str(tmp_path / "src"), str(tmp_path / "out"), "--attributes", str(tmp_path / "a.csv")]) == 2
    assert "a.csv:1: found bytes that are not UTF-8" in capsys.readouterr().err and not (tmp_path / "out").exists()
