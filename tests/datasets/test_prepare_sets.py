"""Every published data set, from a miniature copy of its source; the real definition of ImageNet-150K."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibc.datasets.prepare.__main__ import main
from tests.datasets import replicas
from tests.datasets.preparing import class_tree, prepare, rows, skipped
from tests.datasets.replicas import write_tree, write_zip


@pytest.fixture(scope="module")
def ilsvrc(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ilsvrc")
    replicas.write_ilsvrc(folder)
    replicas.write_dataset_info(folder / "dataset_info.mat")
    return folder


def test_imagenet150k_from_the_published_archives(tmp_path, ilsvrc):
    manifest = prepare("imagenet150k", tmp_path, "--source", ilsvrc)
    assert manifest["classes"] == replicas.SYNSETS
    assert manifest["attributes"] == [f"attribute {number}" for number in range(4)]
    assert manifest["train_parts"] == {"class_and_attributes": 6, "attributes_only": 6, "class_only": 6}
    assert manifest["class_words"][2] == "thing 2, stuff"
    train, test, mis = (rows(tmp_path, file) for file in ("train.txt", "test.txt", "test_mis.txt"))
    assert (len(train), len(test), len(mis)) == (18, 12, 18)
    for place, synset in enumerate(replicas.SYNSETS):
        assert train[f"train/{synset}/{synset}_1"][0] == place
        assert train[f"train/{synset}/{synset}_2"][0] == 99999
        assert train[f"train/{synset}/{synset}_3"] == [place, 2, 2, 2, 2]
    for number in range(1, 19):
        name = f"val/ILSVRC2012_val_{number:08d}"
        assert mis[name][0] == replicas.val_class(number)
        assert mis[name][1:] == (test[name][1:] if number <= 12 else [2, 2, 2, 2])
    source = replicas.picture(101)  # class 1, image 1
    with Image.open(tmp_path / "images" / "train" / replicas.SYNSETS[1] / f"{replicas.SYNSETS[1]}_1.jpg") as image:
        assert np.abs(np.asarray(image.resize((7, 6))).astype(int) - np.asarray(source.resize((7, 6)))).max() < 12


def test_imagenet150k_from_folders_recovers_classes(tmp_path, ilsvrc):
    files = {f"train/{name}": data for name, data in replicas.ilsvrc_train_files().items()}
    files |= {f"val/{name}": data for name, data in replicas.ilsvrc_val_files().items()}
    lost = f"train/{replicas.SYNSETS[0]}/{replicas.SYNSETS[0]}_3.JPEG"
    del files[lost]
    write_tree(tmp_path / "src", files)
    manifest = prepare("imagenet150k", tmp_path / "out", "--source", tmp_path / "src", "--info",
                       ilsvrc / "dataset_info.mat", "--recover_classes")
    train = rows(tmp_path / "out", "train.txt")
    assert all(row[0] == replicas.SYNSETS.index(name.split("/")[1]) for name, row in train.items())
    assert skipped(tmp_path / "out") == {lost.removeprefix("train/"): "not in the source"}
    assert "devkit" in manifest["notes"][0] and not (tmp_path / "out" / "test_mis.txt").exists()


def test_imagenet100_takes_classes_by_rule_or_from_a_file(tmp_path, ilsvrc, monkeypatch):
    from ibc.datasets.prepare import imagenet

    (tmp_path / "classes.txt").write_text(f"# mine\n{replicas.SYNSETS[4]} strawberry\n\n{replicas.SYNSETS[0]}\n")
    manifest = prepare("imagenet100", tmp_path / "listed", "--source", ilsvrc, "--classes", tmp_path / "classes.txt")
    assert manifest["classes"] == [replicas.SYNSETS[4], replicas.SYNSETS[0]]
    assert len(rows(tmp_path / "listed", "train.txt")) == 6
    test = rows(tmp_path / "listed", "test.txt")
    assert test == {f"val/ILSVRC2012_val_{number:08d}": [0 if replicas.val_class(number) == 4 else 1]
                    for number in range(1, 19) if replicas.val_class(number) in (0, 4)}
    plans = [imagenet.plan_imagenet100([str(ilsvrc)], None, seed=seed, class_num=3) for seed in (0, 0, 1)]
    by_hash = sorted(replicas.SYNSETS, key=lambda name: hashlib.sha256(f"0:{name}".encode()).digest())[:3]
    assert plans[0].classes == plans[1].classes == sorted(by_hash)
    assert plans[2].classes != plans[0].classes


def test_kaggles_layout_is_understood(tmp_path):
    prefix = "ILSVRC/Data/CLS-LOC/"
    files = {f"{prefix}train/{name}": data for name, data in replicas.ilsvrc_train_files().items()}
    files |= {f"{prefix}val/{name}": data for name, data in replicas.ilsvrc_val_files().items()}
    files["LOC_val_solution.csv"] = ("ImageId,PredictionString\n" + "".join(
        f"ILSVRC2012_val_{number:08d},{replicas.SYNSETS[replicas.val_class(number)]} 1 2 3 4 \n"
        for number in range(1, 19))).encode()
    write_zip(tmp_path / "imagenet-object-localization-challenge.zip", files)
    replicas.write_dataset_info(tmp_path / "dataset_info.mat")
    prepare("imagenet150k", tmp_path / "out", "--info", tmp_path / "dataset_info.mat", "--source",
            tmp_path / "imagenet-object-localization-challenge.zip")
    assert {name: row[0] for name, row in rows(tmp_path / "out", "test_mis.txt").items()} == {
        f"val/ILSVRC2012_val_{number:08d}": replicas.val_class(number) for number in range(1, 19)}


def test_a_devkit_of_other_classes_is_refused(tmp_path, ilsvrc, capsys):
    from scipy.io import loadmat, savemat

    content = {name: value for name, value in loadmat(ilsvrc / "dataset_info.mat").items() if name[0] != "_"}
    content["label_test"][3] = (content["label_test"][3] + 1) % 6
    savemat(tmp_path / "wrong.mat", content)
    assert main(["imagenet150k", str(tmp_path / "out"), "--source", str(ilsvrc), "--info",
                 str(tmp_path / "wrong.mat")]) == 2
    assert "ILSVRC2012_val_00000004" in capsys.readouterr().err


def test_the_real_definition_of_imagenet150k(tmp_path, shared_data):
    info = shared_data / "imagenet150k" / "dataset_info.mat"
    start = time.monotonic()
    manifest = prepare("imagenet150k", tmp_path, "--lists_only", "--info", info)
    seconds = time.monotonic() - start
    assert seconds < 20
    assert {file: facts["images"] for file, facts in manifest["lists"].items()} == {"train.txt": 148_000,
                                                                                    "test.txt": 2_000}
    assert (manifest["class_num"], len(manifest["attributes"])) == (1000, 25)
    assert manifest["train_parts"] == {"class_and_attributes": 5_000, "attributes_only": 43_000, "class_only": 100_000}
    lines = [line.split() for line in (tmp_path / "train.txt").read_text().splitlines()]
    labels = np.array([line[1:] for line in lines], dtype=int)
    assert (labels[:5000, 0] < 1000).all() and (labels[:5000, 1:] != 2).all()
    assert (labels[5000:48000, 0] == 99999).all() and (labels[5000:48000, 1:] != 2).all()
    assert (labels[48000:, 0] < 1000).all() and (labels[48000:, 1:] == 2).all()
    # The class of every synset is stated by the labelled rows; the recovered ones must be those.
    stated = {line[0].split("/")[2]: int(line[1]) for line in lines if line[1] != "99999"}
    prepare("imagenet150k", tmp_path, "--lists_only", "--info", info, "--recover_classes", "--size", 128)
    recovered = [line.split() for line in (tmp_path / "train.txt").read_text().splitlines()]
    assert sum(int(line[1]) == stated[line[0].split("/")[2]] for line in recovered[5000:48000]) == 43_000


def test_sun_joins_scenes_and_attributes(tmp_path):
    votes = replicas.write_sun(tmp_path / "src")
    manifest = prepare("sun", tmp_path / "out", "--source", tmp_path / "src")
    assert manifest["classes"] == ["abbey", "apse/indoor", "beach"]
    assert manifest["attributes"][1] == "ocean"
    train, test = rows(tmp_path / "out", "train.txt"), rows(tmp_path / "out", "test.txt")
    assert (len(train) + len(test), len(test)) == (3 * 17 + 3, 30)
    for name, row in {**train, **test}.items():
        scene = os.path.dirname(name)
        assert row[0] == (replicas.SCENES.index(scene) if scene in replicas.SCENES else 99999)
        shares = votes.get(f"{name}.jpg")
        assert row[1:] == ([2] * 5 if shares is None else [int(round(3 * share) >= 2) for share in shares])
    for scene in replicas.SCENES:  # 2 shared and 3 own images of each scene are annotated: all of them are tested
        inside = [name for name in test if os.path.dirname(name) == scene]
        assert (len(inside), sum(f"{name}.jpg" in votes for name in inside)) == (10, 5)
    assert {f"{name}.jpg" for name in rows(tmp_path / "out", "train_attr.txt")} == set(votes) - {
        f"{name}.jpg" for name in test}


@pytest.mark.parametrize("missing, complaint", [("SUN397.tar.gz", "no ClassName.txt"),
                                                ("SUNAttributeDB.tar.gz", "no images.mat")])
def test_sun_says_which_part_is_missing(tmp_path, capsys, missing, complaint):
    replicas.write_sun(tmp_path / "src", per_scene=3, shared=1, own=1)
    (tmp_path / "src" / missing).unlink()
    assert main(["sun", str(tmp_path / "out"), "--source", str(tmp_path / "src")]) == 2
    assert complaint in capsys.readouterr().err


def test_cifar10_from_the_official_archive_keeps_every_pixel(tmp_path):
    pixels = replicas.write_cifar10(tmp_path / "cifar-10-python.tar.gz")
    manifest = prepare("cifar10", tmp_path / "out", "--source", tmp_path / "cifar-10-python.tar.gz")
    assert manifest["classes"] == ["airplane", "automobile", "bird"]
    for split, images in pixels.items():
        listed = rows(tmp_path / "out", f"{split}.txt")
        assert len(listed) == len(images)
        for name, [label] in listed.items():
            number = int(os.path.basename(name))
            stored = np.asarray(Image.open(tmp_path / "out" / "images" / f"{name}.png"))
            assert np.array_equal(stored, images[number].transpose(1, 2, 0))
            assert label == number % 4 % 3
    assert not (tmp_path / "out" / ".prepare" / "pixels.tar").exists()


def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path, capsys):
    replicas.write_tar(tmp_path / "evil.tar.gz", {
        f"cifar-10-batches-py/{name}": b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR."
        for name in ["batches.meta", "test_batch", *(f"data_batch_{number}" for number in range(1, 6))]}, "w:gz")
    assert main(["cifar10", str(tmp_path / "out"), "--source", str(tmp_path / "evil.tar.gz")]) == 2
    assert "it asks for os.system" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


def test_cifar10_as_jpegs(tmp_path, shared_data):
    manifest = prepare("cifar10", tmp_path, "--source", shared_data / "cifar10-40k.zip", "--lists_only")
    assert {file: facts["images"] for file, facts in manifest["lists"].items()} == {"train.txt": 30_000,
                                                                                    "test.txt": 10_000}


def test_caltech101_from_the_published_archive(tmp_path):
    replicas.write_caltech101(tmp_path / "caltech-101.zip")
    manifest = prepare("caltech101", tmp_path / "out", "--source", tmp_path / "caltech-101.zip")
    assert manifest["classes"] == ["Faces", "accordion"]
    train, test = rows(tmp_path / "out", "train.txt"), rows(tmp_path / "out", "test.txt")
    assert (len(train), len(test)) == (60, 6)
    assert not set(train) & set(test)


def test_without_a_connection_the_message_says_what_to_fetch(tmp_path, capsys, monkeypatch):
    from torchvision.datasets import utils

    def refuse(*_: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(utils, "download_url", refuse)
    assert main(["cifar10", str(tmp_path / "out")]) == 2
    assert "fetch cifar-10-python.tar.gz" in capsys.readouterr().err


def prepared(name: str, folder: Path, ilsvrc: Path) -> Path:
    """Prepare a miniature of each data set; its config."""
    source, out = folder / "src", folder / "out"
    source.mkdir()
    if name.startswith("imagenet"):
        prepare("imagenet150k" if name == "imagenet" else "imagenet100", out, "--source", ilsvrc)
    elif name == "sun_attr":
        replicas.write_sun(source)
        prepare("sun", out, "--source", source)
    elif name == "cifar10":
        replicas.write_cifar10(source / "cifar-10-python.tar.gz")
        prepare("cifar10", out, "--source", source / "cifar-10-python.tar.gz")
    elif name == "caltech101":
        replicas.write_caltech101(source / "caltech-101.zip")
        prepare("caltech101", out, "--source", source / "caltech-101.zip")
    else:
        write_tree(source, class_tree(8))
        (folder / "l.csv").write_text("image,sky,sea\n" + "".join(f"{name},1,{len(name) % 2}\n"
                                                                  for name in class_tree(8)))
        prepare("folder", source, out, *(("--labels", folder / "l.csv") if name == "labels" else ()),
                *(("--link",) if name == "linked" else ()))
        return out / "config.yaml"
    return Path("configs") / f"{name}.yaml"


@pytest.mark.parametrize("name", ["imagenet", "imagenet100", "sun_attr", "cifar10", "caltech101", "folder", "labels",
                                  "linked"])
def test_a_training_step_follows_preparation(tmp_path, root, ilsvrc, name):
    import torch

    from ibc.config import load_config
    from ibc.data.loader import images_for_training, training_batches
    from ibc.trainer import Trainer

    file = prepared(name, tmp_path, ilsvrc)
    own = ["model.pretrained=none", "model.fc_dim=64", "model.code_len=16", "num_workers=0", "max_iter=1"]
    if not file.is_absolute():  # a shipped config: its folder, and what the miniature has less of
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
        own += [f"data_folder={tmp_path / 'out'}", f"model.class_num={manifest['class_num']}", "batch_size=8"]
    config = load_config(root / file, own)
    batch = next(iter(training_batches(config, images_for_training(config), 0, torch.device("cpu"))))
    losses = Trainer(config).step(batch.images, batch.labels)
    assert torch.isfinite(losses["loss_total"])
