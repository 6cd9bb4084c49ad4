"""What starting costs: --help is quick and loads nothing heavy; importing any module has no side effect."""

import subprocess
import sys

import pytest

from ibc.commands.table import COMMANDS
from tests.small_run import ROOT

HELP_SECONDS, LIST_SECONDS = 0.3, 0.2  # CPU time with the start of Python: of a command's help, of the list of commands
HEAVY = {"matplotlib", "numba", "scipy", "sklearn", "torch", "torchvision"}
SCRIPTS = ["train.py", "fea_extraction.py", "compute_mutual_info_offline.py", "eval/imagenet100c_eval.py",
           "eval/imagenet150k_eval.py", "eval/sun_eval.py", "netdissect_lite/main.py"]
OLD_MODULES = ["ibc.data.prepare", "ibc.data.doctor", "ibc.data.concept_scenes", "eval.report", "eval.code_health",
               "eval.summary", "netdissect_lite.main"]

# Runs a script or a module with --help; says on stderr what was loaded, and the CPU seconds of the whole process.
HELP = """
import atexit, runpy, sys, time
kind, name, *words = sys.argv[1:]
atexit.register(lambda: print(*sys.modules, time.process_time(), file=sys.stderr))
sys.argv = [name, *words, "--help"]
if kind == "script":
    runpy.run_path(name, run_name="__main__")
else:
    runpy.run_module(name, run_name="__main__", alter_sys=True)
"""

# Imports every module of the package; says what it changed.
IMPORTS = """
import importlib, os, pkgutil, signal, warnings
import torch, torchvision  # what these do themselves is not ours
def state():
    return (dict(os.environ), torch.get_num_threads(), torch.initial_seed(), torch.get_default_dtype(),
            torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32,
            torch.are_deterministic_algorithms_enabled(), torch.is_grad_enabled(), os.getcwd(),
            [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)], warnings.filters)
before = state()
import ibc
for module in pkgutil.walk_packages(ibc.__path__, "ibc."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        if error.name != "triton":  # torch brings it on Linux, but not with its CPU wheels
            raise
assert state() == before
assert not torch.cuda.is_initialized()
"""


def help_of(kind: str, name: str, *words: str) -> tuple[str, float]:
    """The help text and the CPU seconds that it took; nothing heavy was loaded."""
    done = subprocess.run([sys.executable, "-c", HELP, kind, name, *words], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    *loaded, seconds = done.stderr.split()
    assert not HEAVY & set(loaded)
    return done.stdout, float(seconds)


@pytest.mark.parametrize(("start", "most"), [
    *((("module", "ibc", name), HELP_SECONDS) for name in COMMANDS),
    *((("script", name), HELP_SECONDS) for name in SCRIPTS),
    *((("module", name), HELP_SECONDS) for name in OLD_MODULES),
    (("module", "ibc"), LIST_SECONDS)])
def test_help_is_quick(start, most):
    text, seconds = help_of(*start)
    for _ in range(4):  # on a busy machine the same work takes longer
        if seconds < most:
            break
        seconds = help_of(*start)[1]
    assert seconds < most
    assert "usage: " in text and ("example:" in text or start == ("module", "ibc"))


def test_importing_has_no_side_effect(tmp_path, tmp_path_factory):
    fonts = tmp_path_factory.mktemp("fonts")  # of which matplotlib makes a list
    done = subprocess.run([sys.executable, "-B", "-c", IMPORTS], cwd=tmp_path, capture_output=True, text=True,
                          check=False, env={"PATH": "", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path),
                                            "MPLCONFIGDIR": str(fonts)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list(tmp_path.iterdir())
