"""Files beside the package that state facts a second time: lock file, citation, container, versions of Python."""

import re
import shlex
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement

from ibc import __version__

REQUIREMENTS = ("requirements.txt", "requirements-test.txt", "requirements-doctor.txt", "requirements-export.txt",
                "requirements-offline.txt")


def locked(text: str) -> dict[str, str]:
    """Name -> version of a lock file whose entries all have hashes; other lines are comments."""
    pins = {}
    for entry in re.split(r"\n(?=[a-z])", "\n".join(line for line in text.splitlines() if line[:1] != "#").strip()):
        found = re.fullmatch(r"([a-z0-9-]+)==([^ ;]+)( ; [^\n\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)", entry)
        assert found, entry[:80]
        pins[found[1]] = found[2]
    return pins


def wanted(root) -> list[Requirement]:
    return [Requirement(line.split("#")[0]) for name in REQUIREMENTS
            for line in (root / name).read_text().splitlines() if line.split("#")[0].strip()]


def test_the_lock_file_meets_every_requirement(root):
    text = (root / "requirements.lock").read_text()
    pins = locked(text)
    for requirement in wanted(root):
        assert requirement.specifier.contains(pins[requirement.name.lower().replace("_", "-")]), requirement
    assert "//" not in text  # addresses of a registry


def test_the_image_takes_all_but_torch_and_cuda_from_the_lock_file(root):
    (step,) = re.findall(r"awk ('[^']+')", (root / "Dockerfile").read_text())
    left = subprocess.run(["awk", *shlex.split(step), root / "requirements.lock"], capture_output=True, text=True,
                          check=True).stdout
    gone = locked((root / "requirements.lock").read_text()).keys() - locked(left).keys()
    assert {"torch", "torchvision", "triton", "nvidia-nccl-cu13"} <= gone
    assert all(name in ("torch", "torchvision", "triton") or name.startswith(("nvidia-", "cuda-")) for name in gone)


def test_the_citation_is_of_this_version(root):
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert citation["version"] == __version__ and citation["license"] == "MIT"


@pytest.mark.parametrize("file", ["README.md", "Makefile", "CONTRIBUTING.md"])
def test_the_versions_of_python_are_the_same_everywhere(root, file):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    named = sorted(re.findall(r"Python :: 3\.(\d+)", " ".join(project["classifiers"])), key=int)
    assert project["requires-python"] == f">=3.{named[0]},<3.{int(named[-1]) + 1}"
    assert f"3.{named[0]} to 3.{named[-1]}" in (root / file).read_text()
    jobs = yaml.safe_load((root / ".github/workflows/test.yml").read_text())["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in named]
