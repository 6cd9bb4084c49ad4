"""Names that a file gives and that become paths: none leads out of the folder where it belongs."""

import csv
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ibc.commands.dissect import COMMAND as DISSECT
from ibc.config import ModelConfig
from ibc.datasets.building.archive import Member
from ibc.datasets.building.build import build
from ibc.datasets.building.options import BuildOptions
from ibc.datasets.building.plan import PreparationPlan
from ibc.datasets.prepare.pack import pack_folder
from ibc.dissection.outputs import load_tally
from ibc.errors import InputError
from ibc.foreign_names import inside, is_plain_name, leads_out, plain_name
from ibc.network import IBC
from tests.dissection.data import write_broden
from tests.small_run import make_images

OUT = ["../x", "/x", "a/../../x", "..", "a/..", "", "a\0b", "/"]
NO_NAME = [*OUT, "a/b", ".", "x" * 256, "é" * 128, "a/"]


@pytest.mark.parametrize("name", OUT)
def test_paths_that_lead_out(name):
    assert leads_out(name)
    with pytest.raises(InputError, match=r"^f\.json:3: found path .* expected a path below images/"):
        inside(name, "f.json", "images/", line=3)


@pytest.mark.parametrize("name", NO_NAME)
def test_names_that_are_none(name):
    assert not is_plain_name(name)
    with pytest.raises(InputError, match=r"^f\.pt: found model_name .* expected a plain name"):
        plain_name(name, "f.pt", "model_name")


@pytest.mark.parametrize("name", ["a", "a.b", "..a", "a..", "...", "-rf", "é" * 127, "ü b'c\"d", " ", "~", "C:"])
def test_odd_names_are_names(name):
    assert is_plain_name(name) and plain_name(name, None, "x") == name and inside(f"b/{name}", None, "x")


@pytest.fixture
def place(tmp_path):
    write_broden(tmp_path / "in" / "broden", count=6)
    return tmp_path / "in"


def dissect(place, *more, side=("--image_size", "64")):
    return DISSECT(["--broden", str(place / "broden"), "--index", "index_sm.csv", "--device", "cpu", "--workers", "0",
                    "--null", "0", *map(str, more), *side])


@pytest.mark.parametrize("name", ["../../../X", "/X", "a/b", "..", ".", "x" * 300, "X\0"])
def test_a_checkpoint_does_not_choose_where_results_go(place, monkeypatch, capsys, name):
    model = IBC(ModelConfig(6, 3, 0.0, pretrained="none", fc_dim=16))
    torch.save({"state_dict": model.state_dict(), "config": {"model_name": name}}, place / "a.pt")
    (place / "work").mkdir()
    monkeypatch.chdir(place / "work")
    before = sorted(place.parent.rglob("*"))
    assert dissect(place, "--checkpoint", place / "a.pt") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "a.pt: found config.model_name" in error and "give the folder by --output" in error and len(error) < 600
    assert sorted(place.parent.rglob("*")) == before
    assert dissect(place, "--checkpoint", place / "a.pt", "--output", place / "work" / "out") == 0


@pytest.mark.parametrize("config", [
    {"crop_image_height": "64", "crop_image_width": 64}, {"crop_image_height": -3, "crop_image_width": 64},
    {"crop_image_height": 10**9, "crop_image_width": 10**9}, {"crop_image_height": [1], "crop_image_width": 64},
    {"crop_image_height": float("nan"), "crop_image_width": 64}])
def test_a_checkpoint_with_an_odd_crop(place, capsys, config):
    model = IBC(ModelConfig(6, 3, 0.0, pretrained="none", fc_dim=16))
    torch.save({"state_dict": model.state_dict(), "config": config}, place / "a.pt")
    assert dissect(place, "--checkpoint", place / "a.pt", "--output", place / "out", side=()) == 2
    assert "a.pt: found config.crop_image_height" in capsys.readouterr().err
    assert dissect(place, "--checkpoint", place / "a.pt", "--output", place / "out") == 0


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A results folder of a dissection, and its data."""
    folder = tmp_path_factory.mktemp("results")
    write_broden(folder / "broden", count=6)
    assert dissect(folder, "--model", "resnet18", "--layer", "layer1", "--output", folder / "out") == 0
    return folder


def with_text(results, target, **changes):
    with np.load(results / "out" / "tally.npz") as archive:
        content = dict(archive)
    content["text"] = np.array(json.dumps({**json.loads(str(content["text"])), **changes}))
    np.savez_compressed(target, **content)


@pytest.mark.parametrize("layer", ["../../X", "/X", "a/b", ""])
def test_a_tally_does_not_choose_where_its_page_goes(results, tmp_path, layer):
    with_text(results, tmp_path / "tally.npz", layer=layer)
    with pytest.raises(InputError, match="the layer"):
        load_tally(tmp_path)


def test_a_tally_of_another_layer_name_is_made_again(results, tmp_path):
    shutil.copytree(results, tmp_path / "in")
    with_text(results, tmp_path / "in" / "out" / "tally.npz", layer="../../../X")
    assert dissect(tmp_path / "in", "--model", "resnet18", "--layer", "layer1", "--output", tmp_path / "in/out") == 0
    assert load_tally(tmp_path / "in" / "out").layer == "layer1" and not list(tmp_path.glob("X*"))


def prepared(folder, manifest=None, rows=("images/000.jpg 0",)):
    make_images(folder / "images", 2)
    (folder / "train.txt").write_text("\n".join(rows) + "\n")
    if manifest is not None:
        (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder.parent / "secret.txt").write_text("secret 0\n")
    (folder.parent / "secret").write_text("secret")


@pytest.mark.parametrize("name", ["../secret.txt", "a/../../secret.txt", "images/../../secret.txt"])
def test_a_manifest_puts_no_file_from_outside_into_a_pack(tmp_path, name):
    prepared(tmp_path / "data", {"lists": {name: {}}})
    with pytest.raises(InputError, match=r"manifest\.json: found path '\.\./secret\.txt'"):
        pack_folder(tmp_path / "data", tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_a_list_puts_no_file_from_outside_into_a_pack(tmp_path):
    for number, row in enumerate(("../secret 0", "images/../../secret 0", f"{tmp_path}/secret 0")):
        prepared(tmp_path / f"{number}" / "data", rows=[row])
        with pytest.raises(InputError, match=r"train\.txt"):
            pack_folder(tmp_path / f"{number}" / "data", tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize("manifest", [[], {}, {"lists": 3}, {"lists": [3]}, {"lists": None}, {"lists": [["a"]]}, "x"])
def test_a_manifest_of_another_shape_leaves_the_lists_of_the_folder(tmp_path, manifest):
    prepared(tmp_path / "data", manifest)
    pack_folder(tmp_path / "data", tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {"train.txt", "images/000.jpg"} <= set(archive.namelist())


def plan_of(tmp_path, stem="a"):
    names = make_images(tmp_path / "source", 1)
    file = tmp_path / "source" / names[0]
    plan = PreparationPlan("own", "all", images={stem: Member(names[0], file.stat().st_size, str(file), "file")})
    plan.lists["train.txt"] = [(stem, [0])]
    return plan, BuildOptions(destination=str(tmp_path / "data" / "out"), size=32, workers=1)


def test_a_plan_makes_no_image_outside(tmp_path):
    plan, options = plan_of(tmp_path, "../../x")
    with pytest.raises(InputError, match="expected a path below the destination"):
        build(plan, options)


def test_a_journal_of_an_earlier_run_deletes_nothing_outside(tmp_path):
    plan, options = plan_of(tmp_path)
    build(plan, options)
    victim = tmp_path / "data" / "victim.jpg"
    victim.write_bytes(b"precious")
    out = Path(options.destination)
    (out / "images" / "a").mkdir()
    with open(out / ".prepare" / "done.csv", "a", newline="") as handle:
        csv.writer(handle).writerow(["a", "1:1", "/../../../victim.jpg", "made", "8"])
    build(*plan_of(tmp_path))
    assert victim.read_bytes() == b"precious"
