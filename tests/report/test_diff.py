"""What differs between two reports: causes first, numbers with their change."""

import json

import pytest

from ibc.commands.report import COMMAND
from ibc.report.diff import differences, read_report

FIRST = {"command": "sun_eval", "versions": {"numpy": "2.0"}, "seed": 0, "protocol": {"ties": "stable", "at": []},
         "inputs": [{"path": "a.npz", "sha256": "1" * 64}],
         "metrics": {"category_map": 0.5, "list": [1, 2, 3], "gone": 1, "none": None, "rows": [{"x": 1}]}}


def changed(**sections):
    return {**json.loads(json.dumps(FIRST)), **sections}


def test_equal_reports_do_not_differ():
    assert differences(FIRST, changed()) == []
    assert differences(FIRST, changed(inputs=[{"path": "elsewhere/a.npz", "sha256": "1" * 64}])) == []


@pytest.mark.parametrize(("second", "lines"), [
    (changed(seed=1), ["seed: 0 -> 1 (+1)"]),
    (changed(protocol={"ties": "expected", "at": []}), ['protocol.ties: "stable" -> "expected"']),
    (changed(versions={"numpy": "2.0", "torch": "3"}), ["versions.torch: only in the second"]),
    (changed(inputs=[{"path": "b.npz", "sha256": "2" * 64}]),
     ["inputs: only in the first: a.npz (sha256 111111111111)",
      "inputs: only in the second: b.npz (sha256 222222222222)"]),
    (changed(metrics={"category_map": 0.55, "list": [1, 2.5, 3], "none": 1.0, "rows": [{"x": 2}], "new": 0}),
     ["metrics.category_map: 0.5 -> 0.55 (+0.05, +10.00%)", "metrics.list: 1 of 3 values differ, by at most 0.5",
      "metrics.gone: only in the first", "metrics.none: null -> 1", "metrics.rows[0].x: 1 -> 2 (+1, +100.00%)",
      "metrics.new: only in the second"]),
    (changed(metrics={**FIRST["metrics"], "list": [1, 2]}), ["metrics.list: 3 -> 2 values"]),
])
def test_differences_are_named(second, lines):
    assert differences(FIRST, second) == lines


def test_causes_come_before_effects():
    second = changed(seed=3, metrics={**FIRST["metrics"], "category_map": 0})
    assert [line.split(":")[0] for line in differences(FIRST, second)] == ["seed", "metrics.category_map"]


def test_command(tmp_path, capsys):
    for name, report in (("a", FIRST), ("b", changed(seed=9))):
        (tmp_path / f"{name}.json").write_text(json.dumps(report))
    files = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    assert COMMAND(["--diff", *files]) == 0
    assert capsys.readouterr().out == "seed: 0 -> 9 (+9)\n"
    assert COMMAND(["--diff", files[0], files[0]]) == 0
    assert capsys.readouterr().out == "nothing differs\n"


def test_exchanged_inputs_are_a_difference():
    files = [{"path": "a.npz", "sha256": "1" * 64}, {"path": "b.npz", "sha256": "2" * 64}]
    assert differences(changed(inputs=files), changed(inputs=files[::-1])) == [
        "inputs: the same files in other places, as queries and database exchanged"]


@pytest.mark.parametrize(("content", "message"), [
    ("{", "not JSON"), ("[]", "without 'metrics'"), ("{}", "without"),
    ('{"metrics": {}, "inputs": [{"path": "a"}]}', "sha256"), ('{"metrics": {}, "inputs": 3}', "sha256")])
def test_other_files_are_refused(tmp_path, content, message, capsys):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_report(tmp_path / "a.json")
    assert COMMAND(["--diff", str(tmp_path / "a.json"), str(tmp_path / "no.json")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
