"""prepare cifar10: every pixel of the official archive, JPEGs byte for byte, and no code from a pickle."""

from __future__ import annotations

import os

import numpy as np
from PIL import Image
from torchvision.datasets import utils

from ibc.commands.prepare import COMMAND as main
from tests.datasets import replicas
from tests.datasets.preparing import prepare, rows


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


def test_without_a_connection_the_message_says_what_to_fetch(tmp_path, capsys, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(utils, "download_url", refuse)
    assert main(["cifar10", str(tmp_path / "out")]) == 2
    assert "fetch cifar-10-python.tar.gz" in capsys.readouterr().err
