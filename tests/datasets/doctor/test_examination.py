"""The doctor finds each planted fault, and calls a sound data set ready."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ibc.commands.doctor import COMMAND as main
from tests.datasets.replicas import encode, jpeg, picture, write_tree

CONFIG = """\
model: {code_len: 16, class_num: 2, thr_g: 2, pretrained: none, fc_dim: 32}
lr: 1e-4
beta1: 0.9
beta2: 0.999
weight_decay: 5e-4
init: kaiming
hash_std_w: 1
hash_mask_w: 1
GRM_w: 1e-5
align_w: 1e4
real_std_w: 1
real_mask_w: 1
sparse_w: 0
batch_size: 4
max_iter: 10
train_list_file: train.txt
test_list_file: test.txt
new_size: 64
crop_image_height: 64
crop_image_width: 64
num_workers: 0
"""


@pytest.fixture
def data(tmp_path) -> Path:
    """A sound data set: two classes, four training and two test images of each."""
    files = {f"{split}/{label}{number}.jpg": jpeg(100 * (split == "test") + 10 * label + number, 80, 64)
             for split, count in (("train", 4), ("test", 2)) for label in (0, 1) for number in range(count)}
    write_tree(tmp_path, files)
    for split in ("train", "test"):
        write_list(tmp_path, split, [(name, name.split("/")[1][0]) for name in sorted(files) if name.startswith(split)])
    (tmp_path / "config.yaml").write_text(CONFIG + f"data_folder: {tmp_path}/\n")
    return tmp_path


def write_list(folder: Path, split: str, rows: list[tuple[str, str]]) -> None:
    (folder / f"{split}.txt").write_text("".join(f"{name} {labels}\n" for name, labels in rows))


def add_row(folder: Path, split: str, name: str, labels: str, content: bytes | None) -> None:
    with open(folder / f"{split}.txt", "a") as handle:
        handle.write(f"{name} {labels}\n")
    if content is not None:
        write_tree(folder, {name: content})


def examine(folder: Path, *more: str) -> tuple[int, dict]:
    """Exit code and the metrics of the JSON."""
    code = main([str(folder / "config.yaml"), "--workers", "1", "--skip_timing", "--json", str(folder / "out.json"),
                 *more])
    return code, json.loads((folder / "out.json").read_text())["metrics"]


def test_sound_data_is_ready(data, capsys):
    code, metrics = examine(data)
    assert (code, metrics["problems"], metrics["warnings"], metrics["verdict"]) == (0, [], [], "ready")
    assert metrics["train"] == {"images": 8, "with_category": 8, "attributes": 0, "class_images_min": 4,
                                "class_images_median": 4.0, "class_images_max": 4}
    assert capsys.readouterr().out.splitlines()[-1] == "verdict: ready"


def test_images_that_a_run_would_stop_at_are_problems(data):
    add_row(data, "train", "train/missing.jpg", "0", None)
    add_row(data, "train", "train/cut.jpg", "1", jpeg(7, 80, 64)[:-500])
    add_row(data, "test", "test/text.jpg", "1", b"not an image")
    code, metrics = examine(data)
    assert code == 1
    assert metrics["verdict"].startswith("not ready: 2 problems")
    assert [Path(file).name for file in metrics["images"]["train"]["unreadable_files"]] == ["missing.jpg", "cut.jpg"]
    assert [Path(file).name for file in metrics["images"]["test"]["unreadable_files"]] == ["text.jpg"]


def test_damage_that_decoders_pass_over_is_a_warning(data):
    pytest.importorskip("simplejpeg")
    whole = jpeg(7, 160, 128)
    middle = len(whole) // 2
    add_row(data, "train", "train/hole.jpg", "0", whole[:middle] + bytes(300) + whole[middle + 300 :])
    code, metrics = examine(data)
    assert (code, metrics["images"]["train"]["damaged"]) == (0, 1)
    assert "hole.jpg" in metrics["warnings"][0]


def test_sizes_are_held_against_crop_and_new_size(data):
    add_row(data, "train", "train/small.jpg", "0", jpeg(7, 59, 70))
    add_row(data, "test", "test/large.jpg", "0", jpeg(8, 300, 200))
    _, metrics = examine(data)
    assert metrics["images"]["train"]["smaller_than_crop"] == 1
    assert metrics["images"]["test"]["larger_than_new_size"] == 1
    assert len(metrics["warnings"]) == 2
    assert examine(data, "--set", "resize=always")[1]["warnings"] == []


def test_images_in_both_lists_are_found_by_content_and_by_look(data):
    pytest.importorskip("imagehash")
    same = (data / "train" / "01.jpg").read_bytes()
    add_row(data, "test", "test/copy.jpg", "0", same)
    add_row(data, "test", "test/alike.jpg", "1", encode(picture(12, 80, 64).resize((90, 72)), quality=60))
    code, metrics = examine(data)
    assert code == 0
    assert [[Path(file).name for file in pair] for pair in metrics["identical"]] == [["copy.jpg", "01.jpg"]]
    [[left, right, bits]] = metrics["near_identical"]
    assert (Path(left).name, Path(right).name) == ("alike.jpg", "12.jpg") and bits <= 4


def test_labels_that_mislead_are_warnings(data):
    write_list(data, "train", [(f"train/{number % 2}{number // 2 % 4}.jpg", "0 1") for number in range(12)]
               + [("train/11.jpg", "1 0")])
    write_list(data, "test", [("test/00.jpg", "0 1"), ("test/01.jpg", "0 0"), ("test/10.jpg", "1 2")])
    _, metrics = examine(data, "--set", "model.class_num=3")
    text = "\n".join(metrics["warnings"])
    assert "train list: 1 of 3 classes have no image: 2 (is class_num right?)" in text
    assert "the largest class has 12 images, the smallest 1" in text
    assert "test list: 1 queries have no other relevant image" in text
    assert "attribute column 1 has one positive image" in text
    assert metrics["queries_without_relevant"] == 1


def test_labels_of_other_shape_than_the_config_are_problems(data):
    write_list(data, "test", [("test/00.jpg", "0"), ("test/01.jpg", "7")])
    code, metrics = examine(data)
    assert code == 1 and "test.txt:2: found label 7, expected a class from 0 to 1" in metrics["problems"][0]
    code, metrics = examine(data, "--set", "model.multi_label=true")
    assert code == 1 and "found 1 labels, expected 2" in metrics["problems"][0]
    assert examine(data, "--set", "batch_size=100")[0] == 1


def test_label_vectors(data):
    names = [f"{label}{number}.jpg" for label in (0, 1) for number in range(4)]
    write_list(data, "train", [(f"train/{name}", "1 0" if name[0] == "0" else "1 1") for name in names])
    write_list(data, "test", [("test/00.jpg", "1 0"), ("test/01.jpg", "1 0"), ("test/10.jpg", "0 1")])
    code, metrics = examine(data, "--set", "model.multi_label=true")
    assert code == 0 and metrics["queries_without_relevant"] == 1
    assert (metrics["train"]["class_images_min"], metrics["train"]["class_images_max"]) == (4, 8)


def test_lists_are_held_against_the_manifest_of_prepare(data):
    (data / "manifest.json").write_text(json.dumps({"class_num": 3, "lists": {"train.txt": {"sha256": "0" * 64}}}))
    _, metrics = examine(data)
    assert len(metrics["warnings"]) == 2 and "train.txt: not as prepare wrote it" in metrics["warnings"][0]


def test_the_places_file_is_checked_when_the_config_names_one(data):
    sun = ("--set", "model.is_sun=true", "--set", "model.pretrained=imagenet", "--set", "model.fc_dim=4096")
    code, metrics = examine(data, *sun, "--set", f"model.weights_file={data}/none.pth.tar")
    assert code == 1 and "none.pth.tar" in metrics["problems"][0]
    for outputs, wanted in ((1000, 1), (365, 0)):
        torch.save({"state_dict": {"module.classifier.6.weight": torch.zeros(outputs, 4096)}}, data / "w.pth.tar")
        code, metrics = examine(data, *sun, "--set", f"model.weights_file={data}/w.pth.tar")
        assert code == wanted


def test_an_epoch_is_timed(data):
    code = main([str(data / "config.yaml"), "--workers", "1", "--device", "cpu", "--json", str(data / "out.json")])
    epoch = json.loads((data / "out.json").read_text())["metrics"]["epoch"]
    pace = min(epoch["loader_images_per_s"], epoch["update_images_per_s"])
    assert code == 0 and epoch["seconds"] == pytest.approx(8 / pace)
    assert epoch["run_seconds"] == pytest.approx(40 / pace)


def test_frozen_training_is_timed_as_it_runs(data):
    """Features once, then the heads' updates: with a large backbone, hours less than an epoch's pace would say."""
    code = main([str(data / "config.yaml"), "--workers", "1", "--device", "cpu", "--json", str(data / "out.json"),
                 "--set", "model.freeze=backbone", "--set", "model.backbone=resnet18", "--set", "model.views=3"])
    found = json.loads((data / "out.json").read_text())["metrics"]["frozen"]
    pace = 1 / (1 / found["loader_images_per_s"] + 1 / found["encoder_images_per_s"])
    assert code == 0 and found["feature_seconds"] == pytest.approx(3 * 8 / pace)
    assert found["run_seconds"] == pytest.approx(3 * 8 / pace + 10 * found["update_seconds"])
    assert found["code_images_per_s"] > 0


def test_a_bad_config_is_bad_input(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("modle: {}\n")
    assert main([str(tmp_path / "config.yaml")]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_very_thin_images_are_named(data):
    add_row(data, "train", "train/rule.png", "0", encode(picture(3).resize((1, 700)), "PNG"))
    code, metrics = examine(data)
    assert (code, metrics["images"]["train"]["thin"]) == (0, 1)
    assert any("rule.png" in text and "only the middle" in text for text in metrics["warnings"])
