"""Where compiled loops are kept: never in an installation, always where the user's folders say."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ibc

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from ibc.compiled import compiled
from loops import double
print(double(21), double.stats.cache_path)
"""
LOOP = "from ibc.compiled import compiled\n\n@compiled\ndef double(value):\n    return 2 * value\n"


@pytest.fixture
def installed(tmp_path) -> Path:
    """A folder such as site-packages with what the decorator needs of the package, and a loop that uses it."""
    folder = tmp_path / "site-packages"
    (folder / "ibc").mkdir(parents=True)
    for name in ("__init__.py", "compiled.py"):
        shutil.copy(Path(ibc.__file__).with_name(name), folder / "ibc")
    (folder / "loops.py").write_text(LOOP)
    return folder


def call(folder: Path, **variables: str) -> tuple[str, list[Path]]:
    """What the loop gave with the place of its machine code, and the files of numba below the folder itself."""
    clean = {name: value for name, value in os.environ.items()
             if name not in {"NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "PYTHONPATH"}}
    done = subprocess.run([sys.executable, "-B", "-c", PROGRAM, str(folder)], env=clean | variables, check=True,
                          capture_output=True, text=True, cwd=folder.parent)
    return done.stdout.strip(), list(folder.rglob("*.nb?"))


@pytest.mark.parametrize(("variables", "place"), [
    ({"HOME": "home"}, "home/.cache/ibc"),
    ({"HOME": "home", "XDG_CACHE_HOME": "caches"}, "caches/ibc"),
    ({"HOME": "home", "XDG_CACHE_HOME": "caches", "NUMBA_CACHE_DIR": "numba"}, "numba")])
def test_an_installation_keeps_them_in_the_users_cache(installed, tmp_path, variables, place):
    out, within = call(installed, **{name: str(tmp_path / value) for name, value in variables.items()})
    assert out.startswith(f"42 {tmp_path / place}/site-packages_")
    assert list((tmp_path / place).rglob("*double*.nbi")) and not within


@pytest.mark.parametrize("home", ["/proc/nowhere", "file"])
def test_without_a_place_they_are_compiled_in_memory(installed, tmp_path, home):
    (tmp_path / "file").touch()
    out, within = call(installed, HOME=str(tmp_path / home))
    assert out == "42 None" and not within


def test_a_checkout_keeps_them_beside_the_source(installed):
    (installed / "pyproject.toml").touch()
    out, within = call(installed, HOME="/proc/nowhere")
    assert out == f"42 {installed / '__pycache__'}" and within
