"""``ibc version``: what a report of an error holds, and what it does not."""

import getpass
import json
import platform
from pathlib import Path

import torch

from ibc import __version__
from ibc.commands.version import COMMAND


def test_versions_and_devices(tmp_path, capsys):
    assert COMMAND(["--json", str(tmp_path / "v.json")]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (lines["ibc"], lines["python"]) == (__version__, platform.python_version())
    assert lines["torch"] == torch.__version__.split("+")[0] or lines["torch"] == torch.__version__
    assert int(lines["cores"]) >= 1 and (lines["gpus"] == "none") == (not torch.cuda.is_available())
    report = json.loads((tmp_path / "v.json").read_text())
    assert report["command"] == "version"
    assert {**report["versions"], **report["metrics"].pop("libraries"),
            **{name: str(value) for name, value in report["metrics"].items()}} == lines


def test_it_names_nobody(capsys):
    assert COMMAND([]) == 0
    text = capsys.readouterr().out
    assert str(Path.home()) not in text and str(Path.cwd()) not in text and platform.node() not in text
    assert getpass.getuser() not in text.split()
