"""Worker processes end with the process that they work for."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ibc.data.batch import Batch
from ibc.data.loader_workers import by_workers
from ibc.errors import LostWorker
from tests.small_run import ROOT

PROGRAM = """
import torch
from ibc.data.loader_workers import by_workers

class Numbers(torch.utils.data.Dataset):
    def __getitems__(self, key):
        return key

batches = by_workers(Numbers(), ([n] for n in range(10**6)), 2)
assert next(batches) == [0]
{end}
"""


@pytest.mark.parametrize("end, code", [("raise RuntimeError('a mistake')", 1), ("batches.kept = batches", 0), (
    "batches.kept = batches; del batches; import gc; gc.collect()", 0)])
def test_workers_end_with_the_program(end, code):
    """Also where something keeps their loader: the frames of an exception, a cycle."""
    result = subprocess.run([sys.executable, "-c", PROGRAM.format(end=end)], check=False, capture_output=True,
                            text=True, timeout=60, cwd=ROOT)
    assert result.returncode == code and ("a mistake" in result.stderr) == (code == 1)


class Many(torch.utils.data.Dataset):
    """A batch of everything that a batch may hold: key -> tensors of many kinds."""

    def __getitems__(self, key):
        number = key[0]
        return Batch(torch.full((number, 3, 5, 7), number % 256, dtype=torch.uint8), torch.arange(number).float(),
                     torch.tensor(number), [torch.zeros(4, 6, dtype=torch.int16).T + number], None)


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_batches_arrive_as_they_were_made_and_in_order(workers, start, monkeypatch):
    monkeypatch.setattr("ibc.data.loader_workers.multiprocessing", multiprocessing.get_context(start))
    keys = [[number] for number in (5, 1, 0, 3, 300, 2, 7, 40, 6, 0, 1)]
    batches = by_workers(Many(), keys, workers, ahead=2)
    for batch, key in zip(batches, keys, strict=True):
        for found, expected in zip(batch, Many().__getitems__(key), strict=True):
            if isinstance(expected, list):
                found, expected = found[0], expected[0]
            if expected is not None:
                assert found.dtype == expected.dtype and torch.equal(found, expected)


class Failing(torch.utils.data.Dataset):
    def __init__(self, fault):
        self.fault = fault

    def __getitems__(self, key):
        if key == [3]:
            self.fault()
        return torch.zeros(5)


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def left():
    os._exit(7)


def no_memory():
    torch.empty(2**60)


def no_descriptor():
    raise OSError(errno.EMFILE, "Too many open files")


def mistaken():
    raise ZeroDivisionError("a mistake")


@pytest.mark.parametrize(("fault", "kind", "text"), [
    (killed, LostWorker, "a loader worker was killed by SIGKILL"), (left, LostWorker, "a loader worker ended"),
    (no_memory, LostWorker, "found no memory"), (no_descriptor, LostWorker, "Too many open files"),
    (mistaken, RuntimeError, "ZeroDivisionError: a mistake")])
def test_a_lost_worker_is_an_error_at_once(fault, kind, text):
    batches = by_workers(Failing(fault), [[number] for number in range(50)], 2)
    started = time.monotonic()
    with pytest.raises(kind, match=text):
        list(batches)
    assert time.monotonic() - started < 10
    assert not multiprocessing.active_children()


def test_a_killed_worker_that_has_nothing_to_do():
    batches = by_workers(Many(), [[1]] * 40, 2)
    next(batches)
    time.sleep(0.5)  # all that was asked for is made
    for process in multiprocessing.active_children():
        process.kill()
    with pytest.raises(LostWorker, match="SIGKILL"):
        list(batches)


def test_too_few_descriptors_to_start():
    code = ("import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))\n"
            "from tests.data.test_loader_workers import *\nby_workers(Many(), [[1]] * 40, 16)")
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60,
                          cwd=ROOT)
    assert done.stderr.splitlines()[-1].startswith("ibc.errors.LostWorker: num_workers: found only ")


def test_workers_end_where_the_reader_stops():
    batches = by_workers(Many(), [[1]] * 4000, 2)
    next(batches)
    del batches
    assert not multiprocessing.active_children()


def test_workers_end_with_a_killed_program():
    code = ("import multiprocessing, os, signal\nfrom tests.data.test_loader_workers import *\n"
            "batches = by_workers(Many(), [[1]] * 4000, 3); next(batches)\n"
            "print(*[child.pid for child in multiprocessing.active_children()], flush=True)\nkilled()")
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60,
                          cwd=ROOT)
    pids = done.stdout.split()
    assert len(pids) == 3
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Unborn(torch.utils.data.Dataset):
    """A worker that has it dies before it takes a key."""

    def __reduce__(self):
        return killed, ()


def test_a_worker_that_dies_before_it_is_asked(monkeypatch):
    monkeypatch.setattr("ibc.data.loader_workers.multiprocessing", multiprocessing.get_context("spawn"))

    def order():
        yield [0]
        time.sleep(5)
        while True:
            yield [1]

    with pytest.raises(LostWorker, match="SIGKILL"):
        list(by_workers(Unborn(), order(), 1))
