"""The command: every way to start it, bad input in one line, reuse and staleness, comparison."""

import csv
import json
import os
import shutil
import subprocess
import sys
from urllib.error import URLError

import numpy as np
import pytest
import torch

from ibc.commands.dissect import COMMAND as IBC_DISSECT
from ibc.config import ModelConfig
from ibc.dissection import outputs, pipeline, resume
from ibc.dissection.responses import Responder
from ibc.dissection.resume import Interruptible
from ibc.network import IBC
from netdissect_lite import settings as settings_file
from netdissect_lite.main import COMMAND
from tests.dissection.data import MAP, write_broden, write_plane


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a data set and two checkpoints: one as this project writes it, one bare."""
    folder = tmp_path_factory.mktemp("command")
    write_broden(folder / "broden", count=24)
    for seed, name, config in ((1, "own.pt", {"crop_image_height": 64, "crop_image_width": 64, "model_name": "own"}),
                               (2, "official.pt", None)):
        torch.manual_seed(seed)
        model = IBC(ModelConfig(6, 3, 0.0, pretrained="none", fc_dim=16))
        content = {"state_dict": model.state_dict()}
        torch.save(content if config is None else {**content, "config": config}, folder / name)
    (folder / "junk.pt").write_bytes(b"junk")
    np.save(folder / "text.npy", np.array(["a"] * 6))
    return folder


FLAGS = ["--device", "cpu", "--workers", "0", "--null", "3", "--quantile", "0.1", "--top", "3"]


def dissect(place, *more, checkpoint="own.pt"):
    arguments = ["--checkpoint", str(place / checkpoint), "--broden", str(place / "broden"), *FLAGS, *map(str, more)]
    return COMMAND(arguments)


def read_rows(path):
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


def test_writes_everything(place, tmp_path, capsys):
    assert dissect(place, "--output", tmp_path / "out", "--json", tmp_path / "report.json") == 0
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["html", "quantile.npy", "tally.csv", "tally.json",
                                                           "tally.npz", "units.csv"]
    assert (out / "html" / "conv_last.html").exists()
    assert len(list((out / "html" / "image").glob("conv_last-*.jpg"))) == 6
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["command"] == "dissect" and report["protocol"]["image_size"] == [64, 64]
    assert report["metrics"]["layers"]["conv_last"]["units"] == 6
    text = capsys.readouterr().out
    assert "it has no texture" in text and "2 without a label left out" in text and "resized to 64 x 64" in text
    rows = read_rows(out / "tally.csv")
    assert len(rows) == 6 and list(rows[0])[:4] == ["unit", "category", "label", "score"]


def test_json_on_stdout_stands_alone(place, tmp_path, capsys):
    assert dissect(place, "--output", tmp_path, "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["images"] == 22


def test_same_inputs_are_not_computed_again(place, tmp_path, capsys):
    assert dissect(place, "--output", tmp_path) == 0
    before = (tmp_path / "tally.csv").read_bytes()
    (tmp_path / "tally.csv").write_text("spoilt")
    capsys.readouterr()
    assert dissect(place, "--output", tmp_path, "--score_threshold", "0.2") == 0
    assert "results taken from the last run" in capsys.readouterr().out
    assert (tmp_path / "tally.csv").read_bytes() == before


@pytest.mark.parametrize("change", ["model", "data", "quantile", "normalization", "index"])
def test_nothing_stale_is_shown(place, tmp_path, capsys, change):
    shutil.copytree(place / "broden", tmp_path / "broden")
    base = ["--broden", tmp_path / "broden", "--output", tmp_path / "out", "--image_size", 64]
    assert dissect(place, *base) == 0
    before = (tmp_path / "out" / "units.csv").read_bytes()
    more, checkpoint = [], "own.pt"
    if change == "model":
        checkpoint = "official.pt"
    elif change == "data":
        shutil.copy(tmp_path / "broden" / "images" / "i0_object.png", tmp_path / "broden" / "images" / "i2_object.png")
    else:
        more = {"quantile": ["--quantile", "0.2"], "normalization": ["--normalization", "training"],
                "index": ["--index", "index_sm.csv"]}[change]
    capsys.readouterr()
    assert dissect(place, *base, *more, checkpoint=checkpoint) == 0
    assert "taken from the last run" not in capsys.readouterr().out
    assert (tmp_path / "out" / "units.csv").read_bytes() != before


def test_thresholds_of_another_run(place, tmp_path):
    assert dissect(place, "--output", tmp_path / "a") == 0
    np.save(tmp_path / "t.npy", np.load(tmp_path / "a" / "quantile.npy") * 1.5)
    assert dissect(place, "--output", tmp_path / "b", "--thresholds", tmp_path / "t.npy") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "b" / "quantile.npy"), np.load(tmp_path / "t.npy"))
    assert (tmp_path / "a" / "tally.csv").read_bytes() != (tmp_path / "b" / "tally.csv").read_bytes()
    assert f"given: {tmp_path / 't.npy'}" in (tmp_path / "b" / "html" / "conv_last.html").read_text()
    digests = [json.loads((tmp_path / name / "tally.json").read_text())["settings"].get("thresholds") for name in "ab"]
    assert digests[0] is None and len(digests[1]) == 64


def test_pages_of_another_layer_go(place, tmp_path):
    for layer in ("layer4", "layer3"):
        arguments = ["--model", "resnet18", "--layer", layer, "--broden", str(place / "broden"),
                     "--output", str(tmp_path / "out"), *FLAGS, "--index", "index_sm.csv", "--units", "1-3"]
        assert COMMAND(arguments) == 0
    assert [path.name for path in (tmp_path / "out" / "html").glob("*.html")] == ["layer3.html"]
    assert all(path.name.startswith("layer3") for path in (tmp_path / "out" / "html" / "image").iterdir())


@pytest.mark.parametrize("place_of_damage", [0.3, 0.5, 0.7, 0.9])
def test_damaged_results_are_made_again(place, tmp_path, capsys, place_of_damage):
    assert dissect(place, "--output", tmp_path / "a") == 0 and dissect(place, "--output", tmp_path / "b") == 0
    file = tmp_path / "a" / "tally.npz"
    whole = file.read_bytes()
    content = bytearray(whole)
    begin = int(place_of_damage * len(content))
    content[begin : begin + 40] = bytes(value ^ 0xFF for value in content[begin : begin + 40])
    file.write_bytes(content)
    capsys.readouterr()
    compare = ["--compare", str(tmp_path / "a"), str(tmp_path / "b"), "--output", str(tmp_path)]
    assert COMMAND(compare) == 2
    assert capsys.readouterr().err.startswith(f"error: {file}: found an unreadable file")
    assert dissect(place, "--output", tmp_path / "a") == 0
    assert file.read_bytes() == whole


def test_layers_of_a_torchvision_network(place, tmp_path):
    arguments = ["--model", "resnet18", "--layer", "layer3", "--layer", "layer4", "--broden", str(place / "broden"),
                 "--output", str(tmp_path / "out"), *FLAGS, "--index", "index_sm.csv", "--units", "1-5,9"]
    assert COMMAND(arguments) == 0
    for layer in ("layer3", "layer4"):
        rows = read_rows(tmp_path / "out" / layer / "units.csv")
        assert [int(row["unit"]) for row in rows] == [1, 2, 3, 4, 5, 9]
        assert (tmp_path / "out" / layer / "html" / f"{layer}.html").exists()
        assert "correlation" not in rows[0]


def test_weights_of_a_file(place, tmp_path):
    from torchvision.models import alexnet

    torch.save({"state_dict": {f"module.{name}": value for name, value in alexnet(num_classes=7).state_dict().items()}},
               tmp_path / "alexnet.pt")
    arguments = ["--model", "alexnet", "--layer", "features.2", "--weights", str(tmp_path / "alexnet.pt"), "--broden",
                 str(place / "broden"), "--image_size", "64", "--output", str(tmp_path / "out"), *FLAGS]
    assert COMMAND(arguments) == 0
    assert len(read_rows(tmp_path / "out" / "units.csv")) == 64


@pytest.mark.parametrize(("flags", "message"), [
    (["--checkpoint", "nothing.pt"], "nothing.pt: found no such file"),
    (["--broden", "nowhere"], "nowhere: found no such folder"),
    (["--units", "4-x"], "--units: found '4-x'"),
    (["--units", "7"], "units from 1 to 6"),
    (["--units", "1-99999999999"], "numbers from 1 to 1,000,000"),
    (["--units", "5-2"], "the smaller one first"),
    (["--image_size", "0"], "image_size: found (0, 0)"),
    (["--image_size", "1000000"], "image_size: found (1000000, 1000000), expected from 1 to 10000"),
    (["--null", "100000000"], "null: found 100000000, expected at most 10000"),
    (["--image_size", "20"], "20 x 20 pixels, which the network does not take"),
    (["--categories", " , "], "categories: found ()"),
    (["--output", "own.pt"], "own.pt: found a file, expected a folder"),
    (["--checkpoint", "junk.pt"], "junk.pt: found an unreadable file"),
    (["--thresholds", "text.npy"], "text.npy: found an unreadable file"),
    (["--quantile", "2"], "quantile: found 2.0"),
    (["--memory", "lots"], "--memory: found 'lots'"),
    (["--categories", "sound"], "found the categories color"),
    (["--model", "resnet18"], "one of the two"),
    (["--layer", "layer1"], "always conv_last"),
    (["--thresholds", "broden/label.csv"], "label.csv: found an unreadable file"),
    (["--compare", "a"], "expected two or more results folders"),
    (["--compare", "a", "b"], "found no dissection"),
])
def test_bad_input_in_one_line(place, tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(place)
    arguments = ["--checkpoint", "own.pt", "--broden", "broden", "--output", str(tmp_path), *FLAGS, *flags]
    assert COMMAND(arguments) == 2
    *before, error = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ") and message in error
    assert not any(line.startswith("error") or "Traceback" in line for line in before)


@pytest.mark.parametrize(("flags", "message"), [
    (["--model", "resnet999", "--layer", "x"], "expected a torchvision model"),
    (["--model", "resnet18", "--layer", "layer9"], "choose among"),
    (["--model", "resnet18"], "for example --layer layer4"),
    (["--model", "resnet18", "--layer", "fc"], "expected a convolutional layer"),
    (["--model", "swin_t", "--layer", "features.7"], "in a Swin transformer, take --layer permute"),
    (["--model", "r3d_18", "--layer", "layer1"], "found r3d_18, a network for videos"),
    (["--model", "fcn_resnet50", "--layer", "nothing"], "a layer of FCN"),
    (["--model", "resnet18", "--layer", "layer1", "--weights", "own.pt"], "weights that do not fit resnet18"),
    (["--model", "resnet18", "--layer", "layer1", "--weights", "imagenet"],
     "no pretrained resnet18 and no way to fetch it (no network here), expected the file resnet18-"),
])
def test_bad_torchvision_input(place, tmp_path, monkeypatch, capsys, flags, message):
    def no_network(*_, **__):
        raise URLError("no network here")

    monkeypatch.chdir(place)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", no_network)
    arguments = ["--broden", "broden", "--output", str(tmp_path), *FLAGS, *flags]
    assert COMMAND(arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and message in error and len(error) < 500


def test_published_weights_are_those_of_torchvision(place, tmp_path, monkeypatch, capsys):
    from torchvision.models import resnet18

    torch.manual_seed(5)
    published = resnet18()
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: published.state_dict())
    torch.save(published.state_dict(), tmp_path / "file.pt")
    tables = {}
    for weights in ("imagenet", str(tmp_path / "file.pt"), None):
        arguments = ["--model", "resnet18", "--layer", "layer1", "--layer", "layer1", "--broden", str(place / "broden"),
                     "--index", "index_sm.csv", "--output", str(tmp_path / "out"), *FLAGS]
        arguments += ["--weights", weights] if weights else []
        assert COMMAND(arguments) == 0
        assert ("random weights; --weights FILE" in capsys.readouterr().out) == (weights is None)
        tables[weights] = (tmp_path / "out" / "tally.csv").read_bytes()
    published_table, same, random = tables.values()
    assert published_table == same != random


def test_killed_while_results_are_written(place, tmp_path, monkeypatch, capsys):
    """What was counted is still there."""
    base = ["--output", tmp_path / "out"]
    assert dissect(place, "--output", tmp_path / "whole") == 0

    def full(*_, **__):
        raise OSError(28, "No space left on device", "tally.csv")

    with monkeypatch.context() as patch:
        patch.setattr(outputs, "write_tally_csv", full)
        patch.setattr(pipeline, "SAVE_SECONDS", 0)
        patch.setattr(Interruptible.__init__, "__defaults__", (0.0,))
        patch.setattr(pipeline.dissect_layers, "__kwdefaults__",
                      {**pipeline.dissect_layers.__kwdefaults__, "save_seconds": 0.0})
        patch.setattr(resume, "SAVE_SHARE", 0)
        assert dissect(place, *base) == 2
    assert "tally.csv: No space left" in capsys.readouterr().err
    assert (tmp_path / "out" / pipeline.STATE_FILE).exists()
    (tmp_path / "out" / f".{pipeline.STATE_FILE}.99.tmp").write_bytes(b"torn")
    calls = []
    monkeypatch.setattr(Responder, "batches", lambda *_: calls.append(1))
    assert dissect(place, *base) == 0  # without encoding an image
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        path.name for path in (tmp_path / "whole").iterdir())
    assert (tmp_path / "out" / "tally.csv").read_bytes() == (tmp_path / "whole" / "tally.csv").read_bytes()


def test_memory_moves_no_number(place, tmp_path):
    tables = []
    for memory in ("0", "100K", "2G"):
        assert dissect(place, "--output", tmp_path / memory, "--memory", memory, "--batch_size", 4) == 0
        tables.append([(tmp_path / memory / name).read_bytes() for name in ("tally.csv", "units.csv", "quantile.npy")])
    assert tables[0] == tables[1] == tables[2]


def test_few_images_are_noted(place, tmp_path, capsys):
    assert dissect(place, "--output", tmp_path, "--index", "index_sm.csv", "--null", 20) == 0
    assert "note: 4 images have too few others" in capsys.readouterr().out


def test_a_missing_image_is_found_at_once(place, tmp_path, capsys):
    shutil.copytree(place / "broden", tmp_path / "broden")
    (tmp_path / "broden" / "images" / "i7.png").unlink()
    assert dissect(place, "--broden", tmp_path / "broden", "--output", tmp_path / "out") == 2
    assert "i7.png: found no such file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_numbers_without_a_name_are_noted(place, tmp_path, capsys):
    shutil.copytree(place / "broden", tmp_path / "broden")
    write_plane(tmp_path / "broden" / "images" / "i0_color.png", np.full(MAP, 8))
    assert dissect(place, "--broden", tmp_path / "broden", "--output", tmp_path / "out") == 0
    assert "label.csv does not list: 8\n" in capsys.readouterr().out


def test_settings_file(place, tmp_path, monkeypatch, capsys):
    """Without a flag the command does what settings.py says, wherever it is started."""
    settings = {"MODEL_FILE": str(place / "official.pt"), "DATA_DIRECTORY": str(place / "broden"), "MODEL": "mine",
                "OUTPUT_FOLDER": str(tmp_path / "result" / "mine"), "IMG_SIZE": 64, "GPU": False, "WORKERS": 0,
                "QUANTILE": 0.1, "TOPN": 2, "SCORE_THRESHOLD": 0.03, "INDEX_FILE": "index_sm.csv",
                "CATAGORIES": ["object", "color"]}
    for name, value in settings.items():
        monkeypatch.setattr(settings_file, name, value)
    monkeypatch.setattr(settings_file, "PARALLEL", 4, raising=False)  # official, without a meaning here
    assert COMMAND(["--null", "0"]) == 0
    report = json.loads((tmp_path / "result" / "mine" / "tally.json").read_text())
    assert report["settings"]["categories"] == ["object", "color"] and report["images"] == 4
    assert report["settings"]["image_size"] == [64, 64]
    assert list(report["summary"]) == ["iou_0.03", "iou_0.04"]
    monkeypatch.setattr(settings_file, "CATAGORIES", [1, 2])
    assert COMMAND([]) == 2
    assert "CATAGORIES = [1, 2], expected a list of texts" in capsys.readouterr().err
    monkeypatch.setattr(settings_file, "CATAGORIES", ["object"])
    monkeypatch.setattr(settings_file, "MODEL_FILE", None)
    assert COMMAND([]) == 2
    assert "MODEL_FILE = None with CUSTOM" in capsys.readouterr().err
    monkeypatch.setattr(settings_file, "QUANTIL", 0.1, raising=False)
    assert COMMAND([]) == 2
    assert "the setting QUANTIL, expected one of" in capsys.readouterr().err
    monkeypatch.delattr(settings_file, "QUANTIL")
    monkeypatch.setattr(settings_file, "QUANTILE", "0.1")
    assert COMMAND([]) == 2
    assert "QUANTILE = '0.1', expected a value of type int or float" in capsys.readouterr().err
    monkeypatch.delattr(settings_file, "QUANTILE")
    assert COMMAND([]) == 2
    assert "found no setting QUANTILE" in capsys.readouterr().err


@pytest.mark.parametrize(("folder", "command_line"), [
    (".", ["netdissect_lite/main.py"]), ("netdissect_lite", ["main.py"]), (".", ["-m", "netdissect_lite.main"])])
def test_every_way_to_start(root, place, tmp_path, folder, command_line):
    done = subprocess.run([sys.executable, *command_line, "--checkpoint", place / "own.pt", "--broden",
                           place / "broden", "--output", tmp_path / "out", *FLAGS], cwd=root / folder, check=False,
                          capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "html" / "conv_last.html").exists()


def test_help_is_quick_and_shows_examples(root):
    done = subprocess.run([sys.executable, "-X", "importtime", "netdissect_lite/main.py", "--help"], cwd=root,
                          capture_output=True, text=True, check=True)
    assert "example:" in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"torch", "numba", "jinja2", "PIL"}


def test_comparison(place, tmp_path, capsys):
    for name, checkpoint in (("one", "own.pt"), ("two", "official.pt")):
        assert dissect(place, "--output", tmp_path / name, "--image_size", 64, checkpoint=checkpoint) == 0
    capsys.readouterr()
    arguments = ["--compare", str(tmp_path / "one"), str(tmp_path / "two"), "--output", str(tmp_path / "both"),
                 "--json", str(tmp_path / "both.json")]
    assert COMMAND(arguments) == 0
    text = capsys.readouterr().out
    assert "one" in text and "units have another name" in text and "note:" not in text
    metrics = json.loads((tmp_path / "both.json").read_text())["metrics"]
    rows = [{int(row["unit"]): row for row in read_rows(tmp_path / name / "units.csv")} for name in ("one", "two")]
    changed = [unit for unit in rows[0] if (rows[0][unit]["category"], rows[0][unit]["concept"]) !=
               (rows[1][unit]["category"], rows[1][unit]["concept"])]
    assert [own["unit"] for own in metrics["renamed"]] == changed
    for concept in metrics["concepts"]:
        for place_of, run in enumerate(rows):
            mine = [row for row in run.values() if row["concept"] == concept["label"] and float(row["iou"]) >= 0.01]
            assert len(mine) == concept["units"][place_of]
    assert (tmp_path / "both" / "compare.html").exists()


def test_ibc_dissect_writes_below_the_working_folder(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["--checkpoint", str(place / "own.pt"), "--broden", str(place / "broden"), *FLAGS]
    assert IBC_DISSECT(arguments) == 0
    assert (tmp_path / "dissection" / "own" / "tally.csv").exists()
    assert COMMAND([*arguments, "--output", "shim"]) == 0
    assert (tmp_path / "shim" / "tally.csv").read_bytes() == (tmp_path / "dissection/own/tally.csv").read_bytes()
    assert IBC_DISSECT(["--compare", "shim", "dissection/own"]) == 0
    assert (tmp_path / "dissection" / "compare" / "compare.html").exists()


@pytest.mark.parametrize(("flags", "message"), [
    (["--broden", "broden"], "--checkpoint: found neither it nor --model, expected one of the two"),
    (["--checkpoint", "own.pt"], "--broden: found no data, expected a folder in Broden format"),
])
def test_ibc_dissect_has_no_settings_file(place, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(place)
    assert IBC_DISSECT(flags) == 2
    assert message in capsys.readouterr().err
