"""A new data set is one file: this test adds one, and prepares it."""

from __future__ import annotations

import sys

import pytest

from ibc.commands.prepare import COMMAND as main
from ibc.datasets import prepare as package
from tests.datasets.preparing import class_tree, rows
from tests.datasets.replicas import write_tree

NEW = '''"""``ibc prepare insects``: ants and bees, all of them for training but the first of each."""

import argparse
from dataclasses import dataclass

from ibc.datasets.building.archive import list_members
from ibc.datasets.building.options import BuildOptions
from ibc.datasets.building.plan import PreparationPlan
from ibc.datasets.data_set import image_set


@dataclass(frozen=True, kw_only=True)
class InsectOptions(BuildOptions):
    source: str
    without_bees: bool = False
    seed: int = 0


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", required=True, metavar="PATH")
    parser.add_argument("--without_bees", action="store_true")


def plan(options: InsectOptions) -> PreparationPlan:
    plan = PreparationPlan("insects", "the first of each is tested", classes=["ant", "bee"], seed=options.seed)
    plan.lists = {"train.txt": [], "test.txt": []}
    for member in list_members(options.source):
        stem = member.name.removesuffix(".jpg")
        label = plan.classes.index(stem.split("/")[0])
        if not (label and options.without_bees):
            plan.images[stem] = member
            plan.lists["test.txt" if stem.endswith("/0") else "train.txt"].append((stem, [label]))
    return plan


DATA_SET = image_set(summary="ants and bees", example="datasets/insects --source insects.zip", options=InsectOptions,
                     add_flags=add_flags, plan=plan, seed="of nothing")
'''


@pytest.fixture
def one_more_file(tmp_path, monkeypatch):
    """The folder of the data sets, with insects.py in it."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "insects.py").write_text(NEW)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / "more")])
    yield
    sys.modules.pop("ibc.datasets.prepare.insects", None)


def test_a_new_data_set_is_one_file(one_more_file, tmp_path, capsys):
    write_tree(tmp_path / "src", class_tree(3))
    out = tmp_path / "out"
    assert main(["insects", str(out), "--source", str(tmp_path / "src"), "--size", "64", "--workers", "1"]) == 0
    assert rows(out, "test.txt") == {"ant/0": [0], "bee/0": [1]}
    assert set(rows(out, "train.txt")) == {"ant/1", "ant/2", "bee/1", "bee/2"}
    assert "insects: 6 images" in capsys.readouterr().out


def test_its_flags_and_its_example_are_in_the_help(one_more_file, capsys):
    for words in (["--help"], ["insects", "--help"]):
        with pytest.raises(SystemExit):
            main(words, prog="ibc prepare")
        assert "\n  ibc prepare insects datasets/insects --source insects.zip" in capsys.readouterr().out
    for flag in ("--without_bees", "--seed", "--size"):
        with pytest.raises(SystemExit):
            main(["insects", "--help"], prog="ibc prepare")
        assert flag in capsys.readouterr().out


@pytest.mark.parametrize(("words", "complaint"), [
    (["insects", "out"], "the following arguments are required: --source; see ibc prepare insects --help"),
    (["beetles", "out"], "argument NAME: invalid choice: 'beetles'"),
    (["insects", "out", "--source", "x", "--size", "0"], "argument --size: found 0, expected a number from 1"),
])
def test_bad_words_are_one_line(one_more_file, capsys, words, complaint):
    with pytest.raises(SystemExit) as stop:
        main(words, prog="ibc prepare")
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.startswith("error: ") and complaint in error and error.count("\n") == 1


@pytest.mark.parametrize("name", sorted(package.data_sets()))
def test_every_data_set_has_a_field_for_each_flag(name, capsys):
    """``options`` takes what the flags give, whatever the data set."""
    data_set = package.data_sets()[name]
    with pytest.raises(SystemExit):
        main([name, "--help"], prog="ibc prepare")
    out = capsys.readouterr().out
    assert f"ibc prepare {name} {data_set.example.split()[0]}" in out
    assert ("--seed" in out) == bool(data_set.seed) == hasattr(data_set.options, "seed")


def test_debug_may_stand_before_or_after_the_name(tmp_path, capsys):
    for words in (["--debug", "pack"], ["pack", "--debug"]):
        with pytest.raises(ValueError, match="no such folder"):
            main([*words, str(tmp_path / "none"), str(tmp_path / "x.zip")])
    assert main(["pack", str(tmp_path / "none"), str(tmp_path / "x.zip")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
