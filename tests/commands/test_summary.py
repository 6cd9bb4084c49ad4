"""``ibc summary``: the numbers of a demo folder in one table, and complaints about other folders."""

import json

import pytest

from ibc.commands.summary import COMMAND

FOUND = {"iou_0.04": {"all": {"units": 3, "concepts": 2}}, "above_chance": {"all": {"units": 7, "concepts": 5}}}
METRICS = {
    "extraction": {"code_accuracy": 0.91, "code_length": 8, "images": 60},
    "mis": {"mis_exact": 0.4, "mis_random_floor_exact": 0.1, "mis_knn": 0.5, "mis_random_floor_knn": 0.2},
    "retrieval": {"category_map": 0.8, "expert_map_top12": 0.75, "random_map_12": 0.3, "attribute_map_mean": 0.6},
    "dissection": {"layers": {"features": {"found": FOUND}}},
}


@pytest.fixture
def demo(tmp_path):
    for name, metrics in METRICS.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"metrics": metrics}))
    return tmp_path


def test_every_number_is_printed(demo, capsys):
    page = demo / "report" / "report.html"
    page.parent.mkdir()
    page.touch()
    assert COMMAND([str(demo)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("concept scenes: 60 test pictures\n")
    for text in ("0.910", "0.400 (0.100)", "0.500 (0.200)", "0.800", "0.750", "0.300", "0.600",
                 "bits named at IoU 0.04", "3 of 8 bits, 2 concepts", "7 of 8 bits, 5 concepts", str(page)):
        assert text in out


def test_a_folder_without_metrics_is_named(demo, capsys):
    (demo / "mis.json").write_text("{}")
    assert COMMAND([str(demo)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {demo / 'mis.json'}: found a file without metrics")
