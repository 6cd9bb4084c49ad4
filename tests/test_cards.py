"""Model cards and data cards: what they say, what the owner wrote into them, and names that would be markup."""

import json

import pytest
import yaml

from ibc.cards import write_data_card, write_model_card
from ibc.config import load_config
from tests.datasets.preparing import class_tree, prepare
from tests.datasets.replicas import write_tree
from tests.small_run import make_run

MANIFEST = {"data_set": "birds | <b>", "rule": "a fifth of each class", "seed": 7, "class_num": 2, "attributes": ["x"],
            "lists": {"train.txt": {"images": 8, "sha256": "ab12"}, "test.txt": {"images": 2, "sha256": "cd34"}},
            "images": {"count": 10, "skipped": 1, "handled": {"grey": 3}}, "notes": ["one class is small"]}


def cells(text: str) -> dict[str, str]:
    """The tables of a card as a dict; ``|`` in a cell is escaped, and so not between spaces alone."""
    rows = [line[2:-2].split(" | ", 1) for line in text.splitlines() if line.startswith("| ") and line != "| | |"]
    return dict(rows)


def front(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_a_data_card_says_what_the_manifest_says(tmp_path):
    write_data_card(tmp_path, MANIFEST)
    text = (tmp_path / "data_card.md").read_text()
    assert front(text)["license"] == "unknown"
    assert "# Data set: birds \\| \\<b\\>\n" in text
    found = cells(text)
    assert found["list train.txt"] == "8 images, SHA-256 ab12" and found["handled: grey"] == "3"
    assert (found["seed of the split"], found["images"], found["left out (skipped.csv)"]) == ("7", "10", "1")
    assert found["note"] == "one class is small" and "source" not in found
    write_data_card(tmp_path, {**MANIFEST, "source": [{"name": "a.zip", "bytes": 56}, {"name": "photos"}]})
    assert cells((tmp_path / "data_card.md").read_text())["source"] == "a.zip, 56 bytes; photos"


def test_the_owners_licence_stays(tmp_path):
    write_data_card(tmp_path, MANIFEST)
    card = tmp_path / "data_card.md"
    card.write_text(card.read_text().replace("license: unknown", "license: cc-by-4.0"))
    write_data_card(tmp_path, MANIFEST)
    assert front(card.read_text())["license"] == "cc-by-4.0"


def test_a_model_card_names_checkpoint_data_and_configuration(tmp_path):
    config = load_config(make_run(tmp_path / "data"))
    manifest = {**MANIFEST, "lists": {config.train_list_file: MANIFEST["lists"]["train.txt"]}}
    (tmp_path / "data" / "manifest.json").write_text(json.dumps(manifest))
    write_model_card(tmp_path, config, "checkpoints/checkpoint_00000004.pt, update 4 of 4", 8, 0.61234)
    text = (tmp_path / "model_card.md").read_text()
    found = cells(text)
    assert found["newest checkpoint"] == "checkpoints/checkpoint\\_00000004.pt, update 4 of 4"
    assert (found["training images"], found["classes"]) == ("8", str(config.model.class_num))
    assert found[config.train_list_file] == "SHA-256 ab12" and "mAP 0.6123 " in found["scores"]
    settings = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert settings == {**config.as_dict(), "data_folder": "data"} and str(tmp_path) not in text


@pytest.mark.parametrize("content", [None, "[]", "{", '{"lists": 3}', '{"lists": {"train.txt": 1}, "rule": {"a": []}}'])
def test_any_manifest_or_none_leaves_a_card(tmp_path, content):
    config = load_config(make_run(tmp_path / "data"))
    if content is not None:
        (tmp_path / "data" / "manifest.json").write_text(content)
    write_model_card(tmp_path, config, "c.pt", 8, None)
    text = (tmp_path / "model_card.md").read_text()
    assert "evaluate" in cells(text)["scores"]
    assert ("no manifest of `ibc prepare`" in text) == (content in (None, "[]", "{"))


def test_preparation_writes_one(tmp_path):
    write_tree(tmp_path / "photos", class_tree())
    manifest = prepare("folder", tmp_path / "photos", tmp_path / "out", "--test_share", 0.25)
    found = cells((tmp_path / "out" / "data_card.md").read_text())
    assert found["classes"] == "2" and found["images"] == str(manifest["images"]["count"])
