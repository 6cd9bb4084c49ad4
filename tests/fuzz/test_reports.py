"""JSON that commands wrote, changed by others: reports to compare, manifests, numbers of a demo."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ibc.commands.summary import SummaryOptions
from ibc.commands.summary import run as summarise
from ibc.report.diff import differences, read_report
from tests.fuzz.damage import damaged, damaged_value
from tests.fuzz.harness import fuzzed

REPORT = {"command": "mis", "versions": {"ibc": "1"}, "seed": 1, "protocol": {"at": [1, 2]},
          "inputs": [{"path": "a.npz", "sha256": "ab" * 32}],
          "metrics": {"map": 0.5, "all": [0.1, 0.2], "per": {"1": None}, "nested": [{"a": 1}, [1, "b"]]}}
OTHER = {**REPORT, "seed": None, "inputs": [], "metrics": {"map": 0.25, "all": [0.1, 0.3], "nested": [{"a": 2}, []]}}
SUMMARY = {
    "extraction": {"images": 240, "code_accuracy": 0.9, "code_length": 64},
    "mis": {"mis_exact": 0.3, "mis_random_floor_exact": 0.1, "mis_knn": 0.2, "mis_random_floor_knn": 0.1},
    "retrieval": {"category_map": 0.8, "expert_map_top12": 0.5, "random_map_12": 0.2, "attribute_map_mean": 0.3},
    "dissection": {"layers": {"conv5": {"found": {name: {"all": {"units": 3, "concepts": 2}}
                                                  for name in ("iou_0.04", "above_chance")}}}}}


def _text(value: Any) -> bytes:
    return json.dumps(value).encode(errors="surrogatepass")


@fuzzed(st.tuples(damaged_value([REPORT, OTHER]).map(_text) | damaged([_text(REPORT)]),
                  damaged_value([REPORT, OTHER]).map(_text)),
        examples=[(b"[" * 100_000, _text(REPORT)), (b'{"metrics":' + b'{"a":' * 900 + b"1" + b"}" * 901,) * 2,
                  (b'{"metrics":{"a":' + b"1" * 400 + b"}}", b'{"metrics":{"a":0.5}}'),
                  (b'{"metrics":{"a":' + b"1" * 5000 + b"}}",) * 2, (b'{"metrics":{"a":NaN}}', b'{"metrics":{"a":1}}'),
                  (b'{"metrics":1}', b'{"metrics":[1]}'), (b'{"metrics":{"a":1e999}}', b'{"metrics":{"a":-1e999}}')])
def test_report_diff(value: tuple[bytes, bytes], folder: Path) -> None:
    for name, data in zip("ab", value, strict=True):
        (folder / f"{name}.json").write_bytes(data)
    lines = differences(read_report(folder / "a.json"), read_report(folder / "b.json"))
    assert all(len(line) < 1000 for line in lines)


@fuzzed(damaged_value([SUMMARY]))
def test_summary(value: Any, folder: Path) -> None:
    if isinstance(value, dict):
        for name in SUMMARY:
            (folder / f"{name}.json").write_bytes(_text({"metrics": value.get(name)}))
        summarise(SummaryOptions(folder))
