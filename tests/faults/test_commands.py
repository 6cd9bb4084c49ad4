"""What may happen to any command: a lost worker, a wish that it ends, no reader, another command, a clock gone back."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.commands import COMMANDS, compare, fresh
from tests.faults.programs import ENVIRONMENT, children, command, finish, ibc, one_error, start, wait_until
from tests.small_run import ROOT, make_images, make_run

CORES = 16
PYTHON = "search index"  # a program, not a command
NAMES = [name for name in COMMANDS if name not in (PYTHON, "training")]  # training: test_training.py


@pytest.fixture(params=NAMES)
def made(request, tmp_path):
    """(command, folder for its output, the output when nothing disturbs it)"""
    place, out = tmp_path / "in", tmp_path / "out"
    place.mkdir()
    disturbed = COMMANDS[request.param](place)
    fresh(out)
    result = ibc(*disturbed.words(out), cores=CORES)
    assert result.returncode == 0, result.stderr
    whole = out.rename(tmp_path / "whole")
    fresh(out)
    return disturbed, out, whole


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-", "> >(head -c 1)", "2> >(true)"])
def test_nobody_reads(made, streams):
    """Files are as they would be; nothing of Python's is seen."""
    disturbed, out, whole = made
    done = subprocess.run(["bash", "-c", f'"$@" {streams}; echo "code $?"', "bash",
                           *command(*disturbed.words(out), cores=CORES)],
                          cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300)
    assert "code 0" in done.stdout and "Traceback" not in done.stderr and "Exception" not in done.stderr
    compare(disturbed, out, whole, finished=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_end(made, number):
    """Twice within a second it ends at once; run again it gives the same result."""
    disturbed, out, whole = made
    for wait in (3.0, 4.5):
        process = start(*disturbed.words(out), cores=CORES)
        time.sleep(wait)
        for _ in range(2):
            if process.poll() is None:
                process.send_signal(number)
                time.sleep(0.2)
        result = finish(process, 10)
        assert result.returncode in (0, -number, 128 + number), result.stderr
        if result.returncode == -signal.SIGTERM:
            assert "Traceback" not in result.stderr
        compare(disturbed, out, whole, finished=result.returncode == 0)
    assert ibc(*disturbed.words(out), cores=CORES).returncode == 0
    compare(disturbed, out, whole, finished=True)


def test_times_in_the_future(made):
    """The clock went back: the files of an earlier run are of tomorrow."""
    disturbed, out, whole = made
    shutil.copytree(whole, out, dirs_exist_ok=True)
    tomorrow = time.time() + 86_400
    for path in out.rglob("*"):
        os.utime(path, (tomorrow, tomorrow), follow_symlinks=False)
    result = ibc(*disturbed.words(out), cores=CORES)
    assert result.returncode == 0, result.stderr
    compare(disturbed, out, whole, finished=True)


@pytest.mark.parametrize("limit", [24, 40, 64])
def test_few_file_descriptors(made, limit):
    disturbed, out, whole = made
    result = ibc(*disturbed.words(out), cores=4, prepare=(
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))"))
    if result.returncode:
        one_error(result)
    compare(disturbed, out, whole, finished=result.returncode == 0)


def workers_of(process: subprocess.Popen) -> list[int]:
    """Its worker processes; what only starts or watches others is none."""
    found = []
    for pid in children(process):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_text()
            inside = any(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            if "resource_tracker" not in words and not inside and not words.startswith("/bin"):
                found.append(pid)
    return found


SLOW = "import time\ndef slow(f): return lambda *a, **k: (time.sleep(0.05), f(*a, **k))[1]\n"
WITH_WORKERS = {  # command -> what makes its workers slow
    "extraction": SLOW + "import ibc.data.dataset as d; d.try_to_decode = slow(d.try_to_decode)",
    "dissection": SLOW + "from ibc.data.broden.dataset import Broden as d; d.read_planes = slow(d.read_planes)",
    "preparation by two workers": ""}


@pytest.mark.parametrize("name", WITH_WORKERS)
def test_a_killed_worker(name, tmp_path):
    place, out = tmp_path / "in", tmp_path / "out"
    place.mkdir()
    fresh(out)
    disturbed = COMMANDS[name](place)
    assert ibc(*disturbed.words(out), cores=CORES).returncode == 0
    whole = out.rename(tmp_path / "whole")
    fresh(out)
    process = start(*disturbed.words(out), cores=CORES, prepare=WITH_WORKERS[name])
    wait_until(lambda: len(workers_of(process)) >= 2, process)
    os.kill(workers_of(process)[-1], signal.SIGKILL)
    killed = time.monotonic()
    error = one_error(finish(process))
    assert time.monotonic() - killed < 30 and "killed" in error
    compare(disturbed, out, whole, finished=False)
    assert ibc(*disturbed.words(out), cores=CORES).returncode == 0
    compare(disturbed, out, whole, finished=True)


def test_a_killed_worker_of_the_doctor(tmp_path):
    config = make_run(tmp_path, images=3000)
    process = start("doctor", config, "--workers", 2, cores=CORES)
    wait_until(lambda: len(workers_of(process)) >= 2, process)
    os.kill(workers_of(process)[-1], signal.SIGKILL)
    assert "killed" in one_error(finish(process))


def test_two_commands_on_one_folder(tmp_path):
    """The second one says so and ends; the first one is not disturbed."""
    config = make_run(tmp_path / "data", log_iter=1)
    words = ["train", "--config", config, "--output_path", tmp_path, "--set", "max_iter=4000"]
    log = tmp_path / "log"
    with open(log, "w") as stream:
        first = start(*words, stdout=stream)
    wait_until(lambda: "Iteration: 00000001" in log.read_text(), first)
    error = one_error(ibc(*words, "--set", "lr=1"))
    assert "another command that is writing to it" in error or "checkpoints of an earlier run" in error
    first.send_signal(signal.SIGTERM)
    assert finish(first).returncode == 143
    assert "lr: 0.001" in (tmp_path / "outputs/small/config.yaml").read_text()
    assert ibc(*words[:-1], "max_iter=1", "--resume").returncode == 0


def test_two_preparations_of_one_folder(tmp_path):
    for name in "ab":
        make_images(tmp_path / "photos" / name, 300, size=300)
    words = ["prepare", "folder", tmp_path / "photos", tmp_path / "out", "--size", 256, "--workers", 1]
    results = [finish(process) for process in [start(*words), start(*words)]]
    assert sorted(result.returncode for result in results) in ([0, 0], [0, 2])
    for result in results:
        if result.returncode:
            assert "another command that is writing to it" in one_error(result)
    assert len(list((tmp_path / "out/images").rglob("*.jpg"))) == 600
    assert len(set((tmp_path / "out/train.txt").read_text().splitlines())) > 400


def test_input_that_changes_while_it_is_packed(tmp_path):
    """The archive is of what was read, and whole; a file that is gone is named."""
    config = make_run(tmp_path / "data", images=2000)
    process = start("prepare", "pack", tmp_path / "data", tmp_path / "packed.zip")
    wait_until(lambda: list(tmp_path.glob(".packed.zip.*.tmp")), process)
    last = sorted((tmp_path / "data/images").iterdir())[-1]
    last.unlink()
    result = finish(process)
    if result.returncode:
        assert last.name in one_error(result) and not (tmp_path / "packed.zip").exists()
    else:
        assert subprocess.run([sys.executable, "-m", "zipfile", "-t", str(tmp_path / "packed.zip")],
                              check=False, capture_output=True).returncode == 0
    assert not list(tmp_path.glob(".packed*")) and config.exists()


def test_input_that_is_removed_while_codes_are_made(tmp_path):
    """Extraction ends in one line that names the image; no half codes file."""
    disturbed = COMMANDS["extraction"](tmp_path)
    fresh(tmp_path / "out")
    (tmp_path / "images/059.jpg").unlink()
    error = one_error(ibc(*disturbed.words(tmp_path / "out"), cores=CORES))
    assert "images/059.jpg" in error and not list((tmp_path / "out").rglob("*.np*"))
