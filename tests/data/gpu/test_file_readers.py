"""Processes that read files: the very contents, whichever process is free; they end with whom they work for."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ibc.data.gpu.file_readers import FileReaders
from ibc.errors import InputError
from tests.small_run import ROOT, make_late


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{number:02}.jpg" for number in range(40)]
    for number, path in enumerate(paths):
        path.write_bytes(os.urandom(100 + number))
    return [str(path) for path in paths]


@pytest.mark.parametrize("count", [0, 3])
def test_they_read_what_is_on_disk(files, count):
    """Every slot is used several times; contents are looked at while later ones are read into other slots."""
    batches = [[(first + place) % 40 for place in range(4)] for first in range(0, 240, 4)]
    with FileReaders(files, count, slots=6, batch_size=4) as readers, ThreadPoolExecutor(max(1, count)) as threads:
        asked = []
        for number in range(len(batches) + 3):
            if number < len(batches):
                asked.append(threads.submit(readers.read, number % 6, batches[number]))
            if number >= 3:
                contents = asked[number - 3].result()
                assert contents.indices == batches[number - 3]
                assert [contents.file(place) for place in range(4)] == [
                    Path(files[index]).read_bytes() for index in contents.indices]


def test_a_slow_one_holds_up_its_own_batch_only(files, monkeypatch):
    contents = [Path(file).read_bytes() for file in files]
    come = make_late(Path(files[0]), monkeypatch)
    with FileReaders(files, 2, slots=2, batch_size=1) as readers, ThreadPoolExecutor(1) as threads:
        slow = threads.submit(readers.read, 0, [0])
        for index in range(1, 40):  # dealt out in turn, the second of them would wait
            assert readers.read(1, [index]).file(0) == contents[index]
        assert not slow.done() and come()
        assert slow.result().file(0) == contents[0]


def test_a_killed_one_is_told_in_one_line(files):
    with FileReaders(files, 1, slots=1, batch_size=1) as readers:
        os.kill(readers._processes[0].pid, signal.SIGKILL)
        with pytest.raises(InputError, match=r"was killed.*lower num_workers"):
            readers.read(0, [1])


def test_they_end_in_any_order(files):
    """Processes forked later hold copies of what earlier ones listen to."""
    first = FileReaders(files, 2, slots=1, batch_size=1)
    second = FileReaders(files, 2, slots=1, batch_size=1)
    ended = threading.Thread(target=lambda: (first.close(), second.close()), daemon=True)
    ended.start()
    ended.join(timeout=30)
    assert not ended.is_alive()
    first.close()  # again: nothing happens


PROGRAM = """
import os, signal
from ibc.data.gpu.file_readers import FileReaders
first, second = (FileReaders([{file!r}], 2, slots=1, batch_size=1) for _ in range(2))
assert len(first.read(0, [0]).data)
print(*(process.pid for readers in (first, second) for process in readers._processes), flush=True)
{end}
"""


@pytest.mark.parametrize("end, code", [
    ("raise RuntimeError('a mistake')", 1), ("first.kept = first", 0), ("os.kill(os.getpid(), signal.SIGKILL)", -9)])
def test_they_end_with_the_program(files, end, code):
    """Also where something keeps them (the frames of an exception, a cycle), and where the program is killed."""
    result = subprocess.run([sys.executable, "-c", PROGRAM.format(file=files[1], end=end)], check=False,
                            capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert result.returncode == code
    pids = [int(word) for word in result.stdout.split()]
    deadline = time.monotonic() + 20
    while any(map(is_there, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(pids) == 4 and not any(map(is_there, pids))


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
