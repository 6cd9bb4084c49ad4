"""``ibc health``: lines, JSON and figure."""

import json

from ibc.codes import save_codes
from ibc.commands.health import COMMAND
from tests.retrieval.test_code_health import made_codes


def test_json_and_figure(tmp_path, capsys):
    save_codes(tmp_path / "codes.npz", made_codes())
    arguments = [str(tmp_path / "codes.npz"), "--json", str(tmp_path / "out.json"), "--figure", str(tmp_path / "f.png")]
    assert COMMAND(arguments) == 0
    metrics = json.loads((tmp_path / "out.json").read_text())["metrics"]
    assert metrics["dead_bits_index"] == [4, 5] and metrics["duplicate_bits_index"] == [[0, 1], [0, 3], [1, 3]]
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    assert "bit balance" in capsys.readouterr().out
