"""ibc quickstart: from a folder to a page in one command, with labels and without, resumed step by step."""

import json

import pytest
import torch
import yaml
from torch import nn

from ibc.backbones.backbone import Backbone
from ibc.backbones.table import BACKBONES
from ibc.codes import load_codes
from ibc.frozen.unlabelled import itq
from tests.dissection.data import write_broden
from tests.report.explorer.small_page import read_data
from tests.small_run import CLASSES, error_of, make_images, run

COMMAND = "ibc/commands/quickstart.py"
FLAGS = ("--device", "cpu", "--bits", "16", "--updates", "6")


@pytest.fixture
def backbone(monkeypatch, tmp_path):
    """A backbone of 24 channels in the place of Lite0, with a file of weights."""
    entry = Backbone("Tiny", 24, 224, lambda: nn.Sequential(nn.Conv2d(3, 24, 32, 32), nn.ReLU()))
    monkeypatch.setitem(BACKBONES, "efficientnet_lite0", entry)
    torch.manual_seed(0)
    torch.save(entry.trunk().state_dict(), tmp_path / "weights.pt")
    return ("--weights_file", tmp_path / "weights.pt")


@pytest.fixture
def photos(tmp_path):
    """40 images in class folders."""
    folder = tmp_path / "photos"
    for number in range(CLASSES):
        make_images(folder / f"kind {number}", 10, seed=number)
    return folder


def test_from_class_folders_to_the_page_and_again(backbone, photos, tmp_path):
    out = tmp_path / "out"
    found = run(COMMAND, photos, "-o", out, *FLAGS, *backbone)
    assert found.returncode == 0, found.stderr
    for file in ("explorer/index.html", "search.jpg", "results/own_photos/all.npz", "results/own_photos/test.npz",
                 "data/config.yaml", "config.yaml", "scores.json"):
        assert (out / file).exists(), file
    printed = found.stdout.splitlines()
    for words in ("ibc prepare folder", "ibc doctor", "ibc train", "ibc extract", "ibc evaluate", "ibc search",
                  "ibc explore"):
        assert any(line.startswith(f"$ {words}") for line in printed), words
    assert "accuracy of the code classifier" in found.stdout and "mAP, 13 expert bits of the true class" in found.stdout
    config = yaml.safe_load((out / "config.yaml").read_text())
    assert config["model"]["freeze"] == "backbone" and config["model"]["class_num"] == CLASSES
    codes = load_codes(out / "results/own_photos/all.npz")
    assert len(codes) == 40 and codes.code_length == 16
    again = run(COMMAND, photos, "-o", out, *FLAGS, *backbone)
    assert again.returncode == 0 and "train: done before" in again.stdout and "$ ibc train" not in again.stdout
    assert "other options" in error_of(run(COMMAND, photos, "-o", out, "--bits", 8, *backbone))
    make_images(photos / "kind 0", 12, seed=0)
    assert "other photographs" in error_of(run(COMMAND, photos, "-o", out, *FLAGS, *backbone))


def test_it_goes_on_where_a_step_failed(backbone, photos, tmp_path, monkeypatch):
    import ibc.commands.train

    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(ibc.commands.train, "COMMAND", lambda words, prog: 130)
        stopped = run(COMMAND, photos, "-o", out, *FLAGS, *backbone)
    assert stopped.returncode == 130 and "stopped at train" in stopped.stderr
    found = run(COMMAND, photos, "-o", out, *FLAGS, *backbone)
    assert found.returncode == 0 and "doctor: done before" in found.stdout
    assert list(json.loads((out / "quickstart.json").read_text())["steps"])[:3] == ["prepare", "doctor", "train"]


def test_photographs_without_labels(backbone, tmp_path):
    make_images(tmp_path / "photos", 60)
    out = tmp_path / "out"
    found = run(COMMAND, tmp_path / "photos", "-o", out, *FLAGS[:4], *backbone)
    assert found.returncode == 0, found.stderr
    assert "no labels" in found.stdout and "no concepts and no classes" in found.stdout
    codes = load_codes(out / "results/own_photos/all.npz")
    assert len(codes) == 60 and codes.code_length == 15  # a quarter of the photographs
    share = (codes.bits > 0).mean(axis=0)
    assert share.min() > 0.1 and share.max() < 0.9  # no bit is dead
    groups = [line.split()[-1] for line in (out / "data/groups.txt").read_text().splitlines()]
    assert codes.categories.tolist() == [int(group) for group in groups] and len(set(groups)) == 2
    page = "".join(path.read_text(errors="ignore") for path in (out / "explorer").rglob("*.js*"))
    page += (out / "explorer/index.html").read_text()
    assert "found by clustering" in page


@pytest.mark.slow
def test_names_from_a_table_and_from_label_maps(backbone, photos, tmp_path):
    """A bit's card tells names by attributes and by dissection apart, and how far each is above chance."""
    rows = [f"{path.parent.name}/{path.name},{int(path.name > '0004')}\n" for path in sorted(photos.rglob("*.jpg"))]
    (tmp_path / "table.csv").write_text("image,late\n" + "".join(rows))
    out = tmp_path / "out"
    found = run(COMMAND, photos, "-o", out, *FLAGS, *backbone, "--attributes", tmp_path / "table.csv", "--broden",
                write_broden(tmp_path / "broden"))
    assert found.returncode == 0, found.stderr
    names = [name for bit in read_data(out / "explorer")["bits"] for name in bit["names"]]
    assert {name["source"] for name in names} == {"dissection", "class", "attribute"}
    assert {name["concept"] for name in names if name["source"] == "attribute"} == {"late"}
    assert all(0 <= name["iou"] <= 1 and name["chance"] is not None for name in names)


def test_folders_that_are_no_classes(backbone, photos, tmp_path):
    found = run(COMMAND, photos, "-o", tmp_path / "out", "--no_labels", *FLAGS, *backbone)
    assert found.returncode == 0 and "$ ibc itq" in found.stdout and "$ ibc train" not in found.stdout


def test_what_cannot_be_done_is_said(backbone, photos, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("")
    assert "new or empty folder" in error_of(run(COMMAND, photos, "-o", tmp_path / "full", *FLAGS))
    assert "test_share" in error_of(run(COMMAND, photos, "-o", tmp_path / "o", "--test_share", 1))
    assert "bits" in error_of(run(COMMAND, photos, "-o", tmp_path / "o", "--bits", 0))
    flags = ("--no_labels", "--attributes", tmp_path / "table.csv")
    assert "class folders beside the table" in error_of(run(COMMAND, photos, "-o", tmp_path / "o", *flags, *backbone))
    inside = error_of(run(COMMAND, photos, "-o", photos / "codes", *FLAGS))
    assert "within the photographs" in inside and not (photos / "codes").exists()
    assert "missing" in error_of(run(COMMAND, tmp_path / "missing", "-o", tmp_path / "o"))
    assert "freeze: backbone" in error_of(run("ibc/commands/itq.py", "--config", "cifar10.yaml"))


def test_itq_finds_a_rotation_that_signs_fit():
    random = torch.Generator().manual_seed(0)
    rotated = torch.linalg.qr(torch.randn(8, 8, generator=random)).Q
    signs = torch.where(torch.rand(400, 8, generator=random) > 0.5, 1.0, -1.0)
    rotation, lost = itq(signs @ rotated, seed=3)
    assert torch.allclose(rotation @ rotation.T, torch.eye(8), atol=1e-4)
    rotated_signs = signs @ rotated
    as_it_is = 1 - float(rotated_signs.abs().mean(dim=1).square().mean() / rotated_signs.square().mean())
    assert 0 <= lost < as_it_is / 2  # most of the signs that were rotated are found again
