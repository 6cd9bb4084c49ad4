"""Commands as a user starts them, in processes of their own, on which a test inflicts a fault."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.small_run import ROOT

# A command that takes its loader workers even where the machine has too few cores for them. prepare: comes first.
PROGRAM = """
import os, sys
os.sched_getaffinity = lambda _: set(range({cores}))
sys.argv[0] = "ibc"
{prepare}
from ibc.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # so that all runs give the same bits


def command(*words: object, cores: int = 2, prepare: str = "") -> list[str]:
    """The argument list of ``ibc WORDS``. prepare: Python that runs before it."""
    return [sys.executable, "-c", PROGRAM.format(cores=cores, prepare=prepare), *map(str, words)]


def start(*words: object, cores: int = 2, prepare: str = "", before: tuple[str, ...] = (),
          **options: object) -> subprocess.Popen:
    """Start ``ibc WORDS`` in a process group of its own. before: words before the command, such as ``unshare``."""
    # SIGINT is ignored below a shell's background job, and every process inherits that
    settings = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT, "env": ENVIRONMENT,
                "start_new_session": True, **options}
    return subprocess.Popen([*before, *command(*words, cores=cores, prepare=prepare)], **settings)


def finish(process: subprocess.Popen, seconds: float = 120) -> subprocess.CompletedProcess:
    """Wait for its end; a process that does not end is killed, and the test fails."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        pytest.fail(f"still running after {seconds} s\n{out}\n{err}")
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def ibc(*words: object, **options: object) -> subprocess.CompletedProcess:
    """Run ``ibc WORDS`` to its end."""
    return finish(start(*words, **options))


def one_error(result: subprocess.CompletedProcess, code: int = 2) -> str:
    """The one ``error:`` line of a command that ended for a reason; nothing of Python's is seen."""
    assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
    assert "Traceback" not in result.stderr and "Exception" not in result.stderr, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, result.stderr
    return lines[0]


def wait_until(true: Callable[[], object], process: subprocess.Popen, seconds: float = 60) -> None:
    """Wait for something that a running command does; fails where it ends before."""
    deadline = time.monotonic() + seconds
    while not true():
        if process.poll() is not None or time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"it did not come; exit code {process.returncode}\n{process.communicate()}")
        time.sleep(0.005)


def children(process: subprocess.Popen) -> list[int]:
    """Processes that it started, and theirs."""
    found = [process.pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # it has ended
                found += map(int, task.read_text().split())
    return found[1:]


def names_below(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def leftovers(folder: Path) -> list[str]:
    """Temporary files below a folder."""
    return [name for name in names_below(folder) if name.endswith(".tmp")]
