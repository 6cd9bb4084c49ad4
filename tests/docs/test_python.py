"""Python, YAML and JSON in the pages is such; examples run and print what the page says; messages are the program's."""

import contextlib
import io
import json
import re

import numpy as np
import pytest
import yaml

from ibc.codes import CodeSet, save_codes
from tests.docs.pages import GUIDES, ROOT, Block, blocks, name_of

_SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "ibc").rglob("*.py")))


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_blocks_are_in_their_language(page):
    for block in blocks(page, "python"):
        compile(block.text, name_of(page), "exec")
    for block in blocks(page, "json"):
        json.loads(block.text)
    for block in blocks(page, "yaml"):
        yaml.safe_load(block.text)


def printed(block: Block) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(block.text, name_of(block.page), "exec"), {})
    return out.getvalue()


def test_the_worked_example_of_the_protocols():
    page = ROOT / "docs/protocols.md"
    (example,), (output,) = blocks(page, "python"), blocks(page, "text")
    assert printed(example) == output.text
    values = re.findall(r"= (\d\.\d{4}) \|$", page.read_text(), re.MULTILINE)
    assert sorted(values) == sorted(output.text.split())


@pytest.mark.parametrize("page", ["README.md", "docs/python-api.md"])
def test_the_library_examples(page, tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    (tmp_path / "results/demo").mkdir(parents=True)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    save_codes(tmp_path / "results/demo/test.npz", CodeSet(
        random.random((40, 64), np.float32), random.integers(0, 5, (40, 1)).astype(np.float32),
        random.random((5, 64), np.float32), [f"{number}.jpg" for number in range(40)]))
    monkeypatch.chdir(tmp_path)
    (example,) = blocks(ROOT / page, "python")
    assert re.match(r"0\.\d+ ", printed(example))


def test_messages_are_those_of_the_program():
    """Every quoted piece of a message stands in the sources; values, which vary, are … in the page."""
    text = re.sub(r'"\s*\n\s*f?"', "", _SOURCES)
    system = {"Permission denied", "No space left on device", "Read-only file system", "No such file or directory"}
    rows = re.findall(r"^\| (`.*?) \| ", (ROOT / "docs/troubleshooting.md").read_text(), re.MULTILINE)
    assert len(rows) > 30
    missing: list[str] = []
    for row in rows:
        for message in re.findall(r"`([^`]+)`", row):
            if message not in system:
                missing += [piece for piece in re.sub("^(warning: |expected )", "", message).split("…")
                            if piece.strip(" '") not in text]
    assert missing == []
