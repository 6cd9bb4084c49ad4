"""Configurations: YAML of any bytes, overrides of any text, values of any type, as in a checkpoint."""

from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from ibc.config import config_from_dict, load_config
from ibc.datasets.building.folder_config import yaml_text
from ibc.report.locate import read_config
from ibc.study.plan import read_plan
from tests.conftest import ROOT
from tests.fuzz.damage import ODD_TEXTS, damaged, damaged_value, odd_texts
from tests.fuzz.harness import fuzzed

FILES = [path.read_bytes() for path in sorted((ROOT / "configs").glob("*.yaml"))]
DEMO = ROOT / "configs" / "demo.yaml"
VALUES = [yaml.safe_load(data) for data in FILES]
KEYS = ["model", "model.code_len", "model.class_num", "lr", "seed", "model_name", "data_folder", "filter_labels",
        "resize", "model.class_weights", "batch_size", "model.is_sun", "crop_image_height", "num_workers",
        "max_iter", "."]


@fuzzed(damaged(FILES, most=3, header=4000))
def test_config_file(data: bytes, folder: Path) -> None:
    (folder / "config.yaml").write_bytes(data)
    load_config(folder / "config.yaml")


@fuzzed(damaged(FILES, most=3, header=4000))
def test_config_for_report(data: bytes, folder: Path) -> None:
    (folder / "config.yaml").write_bytes(data)
    read_config(folder / "config.yaml")


@fuzzed(st.lists(st.builds(lambda key, equals, value: key + equals + value, st.sampled_from(KEYS) | odd_texts(),
                           st.sampled_from(["=", "=", "=", "", "=["]), odd_texts()), min_size=1, max_size=3),
        examples=[["model=3"], ["model=3", "model.code_len=64"], ["lr=1e999"], ["lr=" + "9" * 400], ["model.x.y=1"],
                  ["model="], ["seed=" + "9" * 5000], ["=1"], ["max_iter=.inf"], ["model.code_len.x=3"],
                  ["model=? "], ["model={code_len: 64}"], ["model={3: {4: 5}}"]])
def test_config_override(texts: list[str], folder: Path) -> None:
    load_config(DEMO, texts)


@fuzzed(damaged_value(VALUES), examples=[{"model": 3}, {"model": None}, {3: 4}, {**VALUES[0], "model": [1]}])
def test_config_values(value: Any, folder: Path) -> None:
    if isinstance(value, dict):  # as a checkpoint's reader makes sure
        config_from_dict(value).as_dict()


PLANS = [path.read_bytes() for path in sorted((ROOT / "configs").glob("study*.yaml"))]
DOUBLED = "\n".join(["  m0: [lr=1]", *(f"  m{number}: [m{number - 1}, m{number - 1}]" for number in range(1, 40))])
MANY = f"[{', '.join(['2'] * 2000)}]"
HUGE = [f"config: demo.yaml\nmethods:\n{DOUBLED}\n"
        "groups: {a: {methods: [m0], bits: [8], updates: [1], seeds: [1]}}",
        "config: demo.yaml\nmethods: {a: []}\n"
        f"groups: {{a: {{methods: [a], bits: &b {MANY}, updates: *b, seeds: *b}}}}"]


@fuzzed(damaged(PLANS, most=3, header=4000), errors=(OSError,), tries=12,
        examples=[text.encode() for text in HUGE])
def test_study_plan(data: bytes, folder: Path) -> None:
    (folder / "plan.yaml").write_bytes(data)
    read_plan(folder / "plan.yaml")


@fuzzed(st.sampled_from(ODD_TEXTS) | st.text())
def test_config_text(text: str, folder: Path) -> None:
    if not any(0xD800 <= ord(character) < 0xE000 for character in text):
        assert yaml.safe_load(yaml_text(text)) == text
