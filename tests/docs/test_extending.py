"""docs/extending.md is true: its data set prepares photographs, its measure has the values known by hand."""

import json
import sys

import numpy as np
import pytest

from ibc.commands.prepare import COMMAND as PREPARE
from ibc.datasets import prepare as data_sets
from tests.datasets.preparing import rows
from tests.datasets.replicas import jpeg, write_tree
from tests.docs.pages import ROOT, Block, blocks


def block(heading: str) -> Block:
    """The Python block of the page that begins with this docstring."""
    return next(block for block in blocks(ROOT / "docs/extending.md", "python") if block.text.startswith(heading))


def test_one_more_data_set_as_the_page_says(tmp_path, monkeypatch, capsys):
    (tmp_path / "more").mkdir()
    (tmp_path / "more/named.py").write_text(block('"""``ibc prepare named``').text)
    monkeypatch.setattr(data_sets, "__path__", [*data_sets.__path__, str(tmp_path / "more")])
    write_tree(tmp_path / "photos", {f"{name}_{number}.jpg": jpeg(number)
                                     for name in ("cat", "dog") for number in range(5)})
    assert PREPARE(["named", str(tmp_path / "photos"), str(tmp_path / "out"), "--workers", "1"]) == 0
    monkeypatch.delitem(sys.modules, f"{data_sets.__name__}.named")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["classes"] == ["cat", "dog"] and manifest["images"]["count"] == 10
    for split, count in (("train.txt", 8), ("test.txt", 2)):
        listed = rows(tmp_path / "out", split)
        assert len(listed) == count
        assert all(row == [["cat", "dog"].index(name.split("_")[0])] for name, row in listed.items())


def test_one_more_measure_as_the_page_says():
    names: dict = {}
    exec(block('"""How much the bits').text, names)
    signs = np.array([[1, 1, 1, 0], [1, -1, 1, 0], [1, 1, -1, 0], [1, -1, -1, 1]])
    assert names["bit_entropy"](signs[:, :3]) == pytest.approx(2 / 3)
    share = 5 / 8  # one bit, and three halves
    wanted = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
    assert names["bit_entropy"](signs[:, 3:]) == pytest.approx(wanted)
