"""The recipes of the README run as they stand there; small data stand in for CIFAR-10 and Broden."""

import os

import pytest
import yaml

from ibc.__main__ import main
from tests.dissection.data import write_broden
from tests.docs.pages import ROOT, commands
from tests.small_run import make_run

ELSEWHERE = {  # needs a network, GPUs, or is tested in a file of its own
    ("pip",), ("make",), ("torchrun",), ("ibc", "quickstart"), ("ibc", "prepare")}


@pytest.mark.slow
def test_the_recipes_of_the_readme(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = make_run(tmp_path / "datasets/cifar10", max_iter=4, snapshot_save_iter=4, model_name="cifar10",
                      model={"code_len": 32}, data_folder="datasets/cifar10/")
    os.mkdir("configs")
    config.rename("configs/cifar10.yaml")  # a file of that name comes before the ready one
    write_broden(tmp_path / "datasets/broden1_227", count=24)
    ran = []
    for words in commands(ROOT / "README.md"):
        if not any(words[: len(start)] == list(start) for start in ELSEWHERE):
            assert main(words[1:]) == 0, (words, capsys.readouterr())
            ran.append(words[1])
    assert ran == ["doctor", "train", "extract", "mis", "evaluate", "dissect", "search", "explore"]
    assert yaml.safe_load((tmp_path / "outputs/cifar10/config.yaml").read_text())["max_iter"] == 4
    for made in ("results/cifar10/test.npz", "dissection/cifar10/tally.csv", "found.jpg", "explorer/index.html",
                 "outputs/cifar10/model_card.md"):
        assert (tmp_path / made).is_file(), made
