"""The installed package: what the wheel holds, and the program from outside the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import yaml

from ibc import __version__
from ibc.commands.table import COMMANDS
from ibc.config import load_config
from ibc.ready_configs import find_config, ready_config, ready_folder, ready_names
from ibc.study.plan import read_plan

SOURCES = ["ibc", "configs", "pyproject.toml", "setup.py", "README.md", "LICENSE", "requirements.txt",
           "requirements-test.txt", "requirements-doctor.txt", "requirements-export.txt", "requirements-offline.txt"]


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory) -> Path:
    """The package, built in a copy of what it is built from, so that nothing is left in the checkout."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (root / name).is_dir():
            shutil.copytree(root / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(root / name, source / name)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", out, source)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """An environment with the package alone; its dependencies are those of this process, not installed again."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip("--python", folder / "bin/python", "install", "--no-deps", "--no-index", wheel)
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def pip(*words: str | Path) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, words)], check=False,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def ibc(environment: Path, folder: Path, *words: str | Path) -> subprocess.CompletedProcess:
    """The installed program, started in ``folder`` without a way to the checkout."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run([environment / "bin/ibc", *map(str, words)], cwd=folder, env=clean, check=False,
                          capture_output=True, text=True)


def test_the_wheel_holds_what_the_program_needs(wheel, root):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {path.relative_to(root).as_posix() for ending in ("py", "html", "css", "js", "svg")
              for path in (root / "ibc").rglob(f"*.{ending}")}
    wanted |= {f"ibc/configs/{name}" for name in ready_names()} | {"ibc/py.typed"}
    info = f"ibc-{__version__}.dist-info"
    assert {name for name in names if not name.startswith(info)} == wanted  # and no eval, tests, configs
    with zipfile.ZipFile(wheel) as archive:
        facts = archive.read(f"{info}/METADATA").decode()
        assert archive.read(f"{info}/entry_points.txt").decode() == "[console_scripts]\nibc = ibc.__main__:main\n"
    for line in ("Requires-Dist: torch>=2.9", 'Requires-Dist: imagehash>=4.3; extra == "doctor"',
                 'Requires-Dist: pytest>=8; extra == "test"'):
        assert f"\n{line}\n" in facts


def test_the_program_outside_the_checkout(installed, tmp_path):
    help_text = ibc(installed, tmp_path, "--help")
    assert (help_text.returncode, help_text.stderr) == (0, "")
    assert all(f"\n  {name} " in help_text.stdout for name in COMMANDS)
    assert str(next(installed.glob("lib/python*/site-packages/ibc/configs"))) in help_text.stdout
    assert ibc(installed, tmp_path, "--version").stdout == f"ibc {__version__}\n"
    ready = ibc(installed, tmp_path, "train", "--config", "demo.yaml")
    assert ready.returncode == 2
    assert ready.stderr == "error: demo/data/test.txt: No such file or directory\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_demo_from_the_installed_package(installed, tmp_path):
    """Every step of the demo, with few images and updates, in an empty folder; nothing is written into the package."""
    before = files_below(installed)
    codes = "demo/results/demo/test.npz"
    for step in (
        "prepare concept_scenes demo/data --train 96 --test 48 --broden 24",
        "doctor demo.yaml --skip_timing",
        "train --config demo.yaml --output_path demo --set max_iter=4",
        "extract --config demo.yaml --checkpoint demo/outputs/demo --save_name test --output_path demo "
        "--json demo/extraction.json",
        f"mis --fea_file_path {codes} --json demo/mis.json",
        f"evaluate {codes} --data sun --attribute all --attribute_names demo/data/attributes.txt "
        "--json demo/retrieval.json",
        f"health {codes} --figure health.png",
        "dissect --checkpoint demo/outputs/demo --broden demo/data/broden --output demo/dissection "
        "--json demo/dissection.json",
        f"search {codes} --item 4 --rows all,expert --images demo/data --sheet demo/search.png",
        f"explore {codes} --images demo/data --dissection demo/dissection -o demo/explorer",
        f"report demo/outputs/demo --codes {codes} --output demo/report",
        "summary demo",
    ):
        done = ibc(installed, tmp_path, *step.split())
        assert done.returncode == 0, (step, done.stdout, done.stderr)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "health.png"]
    assert files_below(installed) == before


def files_below(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_every_ready_configuration_loads(root):
    assert ready_folder() == root / "configs"
    assert ready_names() == sorted(path.name for path in (root / "configs").glob("*.yaml"))
    for name in ready_names():
        if name.startswith("study_"):
            assert read_plan(ready_config(name)).runs()
        else:
            assert load_config(ready_config(name)).model_name


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config("cifar10.yaml") == find_config("configs/cifar10.yaml") == ready_config("cifar10.yaml")
    for path in ("other.yaml", "own/cifar10.yaml", str(tmp_path / "cifar10.yaml")):
        assert find_config(path) == Path(path)
    Path("cifar10.yaml").write_text(yaml.safe_dump({}))
    assert find_config("cifar10.yaml") == Path("cifar10.yaml")


def test_an_unknown_ready_configuration():
    with pytest.raises(ValueError, match=r"no\.yaml: found no such file, expected one of caltech101\.yaml, "):
        ready_config("no.yaml")
