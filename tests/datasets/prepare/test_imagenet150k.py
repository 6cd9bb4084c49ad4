"""prepare imagenet150k: from a miniature of its sources, and the real definition."""

from __future__ import annotations

import time

import numpy as np
from PIL import Image
from scipy.io import loadmat, savemat

from ibc.commands.prepare import COMMAND as main
from tests.datasets import replicas
from tests.datasets.preparing import prepare, rows, skipped
from tests.datasets.replicas import write_tree, write_zip


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
    content = {name: value for name, value in loadmat(ilsvrc / "dataset_info.mat").items() if name[0] != "_"}
    content["label_test"][3] = (content["label_test"][3] + 1) % 6
    savemat(tmp_path / "wrong.mat", content)
    assert main(["imagenet150k", str(tmp_path / "out"), "--source", str(ilsvrc), "--info",
                 str(tmp_path / "wrong.mat")]) == 2
    assert "ILSVRC2012_val_00000004" in capsys.readouterr().err


def test_the_real_definition_of_imagenet150k(tmp_path, shared_data):
    info = shared_data / "imagenet150k" / "dataset_info.mat"
    start = time.process_time()
    manifest = prepare("imagenet150k", tmp_path, "--lists_only", "--info", info)
    seconds = time.process_time() - start
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
