"""A process that has loaded the libraries and starts commands by fork, so that a round of a test takes a second.

Run as a program it reads one request a line on stdin and says on stdout the number of the process that it started, and
later its exit code. ``Zygote`` is the other end.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.programs import ENVIRONMENT
from tests.small_run import ROOT

PRELOADED = ("torch", "torch.utils.tensorboard", "torchvision", "scipy.io", "h5py", "sklearn.neighbors", "numba",
             "jinja2", "matplotlib.figure", "ibc.train_loop", "ibc.extraction", "ibc.dissection.pipeline",
             "ibc.retrieval.average_precision", "ibc.report.page_figures", "ibc.export.parquet", "ibc.retrieval.index")


class Zygote:
    """Starts commands, one at a time."""

    def __init__(self, before: tuple[str, ...] = ()) -> None:
        """before: words before the program, which give it other surroundings."""
        self.process = subprocess.Popen([*before, sys.executable, "-m", "tests.faults.zygote"], cwd=ROOT,
                                        env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = 0

    def start(self, words: list, log: Path, cores: int = 2) -> None:
        """Start ``ibc WORDS`` in a process group of its own; or ``sh -c``, or the Python program of ``-c program``.

        stdout and stderr go to ``log``.
        """
        request = {"words": [str(word) for word in words], "log": str(log), "cores": cores}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        self.pid = int(self.process.stdout.readline())

    def wait(self) -> int:
        """Its exit code, negative for a signal."""
        return os.waitstatus_to_exitcode(int(self.process.stdout.readline()))

    def kill_after(self, seconds: float, number: int, group: bool) -> int:
        """Send a signal after some time, to the process or also to its workers; returns the exit code."""
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):  # it was quicker
            (os.killpg if group else os.kill)(self.pid, number)
        return self.wait()

    def run(self, words: list, log: Path, cores: int = 2) -> tuple[int, float]:
        """Run a command to its end: exit code and seconds."""
        begin = time.monotonic()
        self.start(words, log, cores)
        return self.wait(), time.monotonic() - begin

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def serve() -> None:
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            become(request)
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)


def become(request: dict) -> None:
    """Run the command in this process, and end it as Python does."""
    os.setsid()
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.sched_getaffinity = lambda _: set(range(request["cores"]))
    words = request["words"]
    if words[0] == "sh":
        os.execvp("sh", words)
    if words[0] == "-c":
        exec(words[1], {"__name__": "__main__"})
        sys.exit()
    sys.argv[:] = ["ibc", *words]
    from ibc.__main__ import main

    sys.exit(main(words))


if __name__ == "__main__":
    serve()
