"""A study of two methods on a small data set: made once, gone on with, tabulated."""

import json

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from ibc.codes import CodeSet, load_codes
from ibc.commands.study import COMMAND
from ibc.report.figures import new_figure
from ibc.retrieval.average_precision import mean_average_precision
from ibc.study.plan import read_plan
from ibc.study.plots import code_length_figure
from ibc.study.scores import alignment, study_scores
from tests.small_run import make_run, run_alone

METHODS = {"official": [], "plus": ["objective=ibc_plus", "lr_policy=cosine"], "slow": ["plus", "lr=1e-5"]}


def write_plan(folder, **changes):
    make_run(folder / "data", snapshot_save_iter=2, log_iter=2)
    plan = {"config": "data/config.yaml", "methods": METHODS,
            "groups": {"short": {"methods": ["official", "plus"], "bits": [8], "updates": [4], "seeds": [1, 2]}}}
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump({**plan, **changes}))
    return path


def test_runs_are_every_combination_and_the_schedule_is_stretched(tmp_path):
    plan = read_plan(write_plan(tmp_path, groups={
        "a": {"methods": ["official"], "bits": [8, 16], "updates": [28], "seeds": [1, 2]},
        "b": {"methods": ["official", "plus"], "bits": [16], "updates": [28], "seeds": [2]}}))
    assert len(plan.runs()) == 5 and len(plan.runs(["a"])) == 4
    (slow,) = read_plan(write_plan(tmp_path, groups={
        "a": {"methods": ["slow"], "bits": [8], "updates": [28], "seeds": [1]}})).runs()
    assert plan.config_of(slow).lr == 1e-5 and plan.config_of(slow).objective == "ibc_plus"
    config = plan.config_of(plan.runs(["b"])[0])
    assert (config.objective, config.model.code_len, config.seed, config.max_iter) == ("ibc", 16, 2, 28)
    assert config.step_size == 14  # 7 of 14 updates


@pytest.mark.parametrize("changes, word", [
    ({"groups": {"a": {"methods": ["other"], "bits": [8], "updates": [4], "seeds": [1]}}}, "'other'"),
    ({"methods": {"official": "lr=1"}}, "no list"), ({"methods": {"official": [], "plus": ["best"]}}, "'best'"),
    ({"methods": {"official": ["lr=fast"], "plus": []}}, "lr"),
    ({"groups": 3}, "groups"), ({"speed": 1}, "speed")])
def test_a_wrong_plan_is_told_before_training(tmp_path, changes, word):
    with pytest.raises(ValueError, match=word):
        read_plan(write_plan(tmp_path, **changes))


def test_study_trains_scores_and_goes_on(tmp_path, capsys):
    plan, out = write_plan(tmp_path), tmp_path / "out"
    arguments = [str(plan), "-o", str(out), "--device", "cpu"]
    assert COMMAND([*arguments, "--part", "1/2"]) == 0
    assert len(json.loads((out / "results.json").read_text())) == 2
    names = sorted(path.name for path in (out / "runs").iterdir())
    assert names == ["official-8bits-4updates-seed1", "plus-8bits-4updates-seed1"]
    kept = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/result.json")}
    assert COMMAND(arguments) == 0
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    results = json.loads((out / "results.json").read_text())
    assert [(one["method"], one["seed"]) for one in results] == [("official", 1), ("official", 2), ("plus", 1),
                                                                ("plus", 2)]
    folder = out / "runs/plus-8bits-4updates-seed2"
    codes = load_codes(folder / "codes.npz")
    bits, labels = codes.bits, codes.categories
    expected = float(mean_average_precision(bits, labels, bits, labels, self_match="exclude", ties="expected"))
    assert results[3]["scores"]["map"]["expected"] == pytest.approx(expected)
    filters = torch.load(folder / "filters.pt", weights_only=True)["state_dict"]
    assert filters["enc_style.conv_last.weight"].dtype == torch.float16 and len(filters) == 12
    table = (out / "table.md").read_text().splitlines()
    assert len(table) == 4 and table[2].startswith("| official | 8 | 4 | 2 |") and "±" in table[2]
    for name in ("code_length", "expert_bits", "scores"):
        with Image.open(out / f"{name}.png") as figure:
            assert min(figure.size) > 300 and len(np.unique(np.asarray(figure.convert("L")))) > 50
    capsys.readouterr()
    (tmp_path / "broken/runs" / names[0]).mkdir(parents=True)
    (tmp_path / "broken/runs" / names[0] / "result.json").write_text('{"scores": 3')
    assert COMMAND([str(plan), "-o", str(tmp_path / "broken"), "--table"]) == 2
    assert "result.json" in capsys.readouterr().err
    assert COMMAND([*arguments, "--table"]) == 0
    assert capsys.readouterr().out.splitlines() == table


def test_the_figure_over_the_code_length_has_a_panel_a_backbone(monkeypatch):
    drawn = []
    monkeypatch.setattr("ibc.study.plots.new_figure", lambda *size: drawn.append(new_figure(*size)) or drawn[-1])
    results = [{"method": method, "bits": bits, "updates": updates, "seed": seed, **kind,
                "scores": {"map": {"expected": 0.5 + bits / 1000, "worst": 0.4, "best": 0.9}}}
               for kind in ({}, {"backbone": "resnet18"}) for method, updates in (("csq", 5), ("pca", 0))
               for bits in (16, 64) for seed in (1, 2)]
    code_length_figure(results)
    panels = drawn[0][1].flat
    assert [axes.get_title("left") for axes in panels] == ["alexnet: mAP of all bits", "resnet18: mAP of all bits"]
    for axes in panels:
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["csq", "pca"]
        assert all(np.allclose(line.lines[0].get_ydata(), [0.516, 0.564]) for line in axes.containers)


def test_scores_of_codes_that_are_the_class():
    """Four classes, each with two bits of its own: 2 expert bits say all, those of another class nothing."""
    labels = np.repeat(np.arange(4), 6)
    signs = np.repeat(np.eye(4), 2, axis=1)[labels]
    codes = CodeSet(0.1 + 0.8 * signs.astype(np.float32), labels[:, None].astype(np.float32),
                    np.repeat(np.eye(4, dtype=np.float32), 2, axis=1))
    found = study_scores(codes, labels, 2 * codes.binary_codes, "cpu", 0)
    assert found["accuracy"] == found["map"]["expected"] == found["expert"]["2"] == 1
    assert found["expert_predicted"]["1"] == 1 and found["expert_of_another_class"]["8"] == 1
    assert found["alignment"] == pytest.approx(1) and found["dead_bits"] == 0 and found["enough_bits"] == 1
    assert found["quantisation"] == pytest.approx(0.1)
    assert alignment(codes.binary_codes, -codes.binary_codes) == pytest.approx(-1)


def test_errors_are_one_line(tmp_path):
    plan = write_plan(tmp_path)
    for arguments, word in ((["--part", "3/2"], "I/N"), (["--group", "long"], "no group"),
                            (["--set", "lr=fast"], "lr")):
        ended = run_alone("-m", "ibc", "study", plan, "-o", tmp_path / "out", *arguments)
        assert ended.returncode == 2 and ended.stderr.count("error:") == 1 and word in ended.stderr, ended.stderr
