"""ibc prepare, ibc doctor and their old names: quick help that loads no large library."""

from __future__ import annotations

import pytest

from tests.small_run import run_alone

LOADED = """
import sys
from ibc.__main__ import main
try:
    main(sys.argv[1:])
except SystemExit:
    print([name for name in ("torch", "PIL", "scipy") if name in sys.modules])
"""


@pytest.mark.parametrize("words", [["prepare"], ["prepare", "concept_scenes"], ["prepare", "sun"], ["doctor"]])
def test_help_loads_neither_torch_nor_pillow(root, words):
    result = run_alone("-c", LOADED, *words, "--help", cwd=root)
    assert result.stdout.splitlines()[-1] == "[]"
    assert f"  ibc {' '.join(words)} " in result.stdout


@pytest.mark.parametrize(("module", "example"), [
    ("ibc.data.prepare", "python -m ibc.data.prepare folder my_photos datasets/mine --test_share 0.2"),
    ("ibc.data.doctor", "python -m ibc.data.doctor configs/cifar10.yaml --set data_folder=/data/cifar10/"),
    ("ibc.data.concept_scenes", "python -m ibc.data.concept_scenes data/scenes --train 3600"),
])
def test_the_old_names_work(root, module, example):
    result = run_alone("-m", module, "--help", cwd=root)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"  {example}" in result.stdout
