"""A pool that loses a worker, or cannot start one, ends in one line."""

import errno
import os
import signal

import pytest

from ibc.errors import LostWorker
from ibc.process_pool import in_batches, run_batches


class Lengths:
    def __call__(self, batch):
        if "kill" in batch:
            os.kill(os.getpid(), signal.SIGKILL)
        return [len(item) for item in batch]


def test_a_killed_worker():
    words = [*("word" * n for n in range(20)), "kill"]
    batches = run_batches(Lengths(), in_batches(words[:-1], 3), 2)
    assert sorted(length for batch in batches for length in batch) == [4 * n for n in range(20)]
    with pytest.raises(LostWorker, match="a worker process was killed"):
        list(run_batches(Lengths(), in_batches(words, 3), 2))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.EAGAIN, errno.ENOENT])
def test_no_room_for_workers(monkeypatch, number):
    """In a container /dev/shm may be full or missing, and processes or descriptors few."""
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("ibc.process_pool.ProcessPoolExecutor", refuse)
    with pytest.raises(LostWorker, match=f"cannot start.*{os.strerror(number)}.*--workers 1"):
        list(run_batches(Lengths(), in_batches(["a"] * 9, 3), 2))
