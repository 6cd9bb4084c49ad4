"""Batches of work over all cores: one function, many batches, results as they come."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import TypeVar

from ibc.errors import InputError

T = TypeVar("T")
R = TypeVar("R")


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def run_batches(job: Callable[[list[T]], R], batches: Iterator[list[T]], workers: int) -> Iterator[R]:
    """``job(batch)`` for every batch, in any order; with one worker, here and in order.

    ``job`` must be picklable. Batches are drawn as they are needed, so they need not fit in memory.
    Raises InputError when the system kills a worker.
    """
    if workers <= 1:
        yield from map(job, batches)
        return
    context = get_context("forkserver")
    context.set_forkserver_preload([job.__class__.__module__, "torch"])  # imported once, shared by all workers
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    waiting: set[Future] = set()
    try:
        while True:
            waiting.update(pool.submit(job, batch) for batch in islice(batches, 2 * workers + 2 - len(waiting)))
            if not waiting:
                return
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    except BrokenProcessPool:
        raise InputError("a worker process was killed (out of memory?); run the same command again to continue, "
                         "with fewer --workers") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """One thread each; Ctrl-C is for the parent to handle; a worker whose parent is gone ends."""
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()

    def follow() -> None:
        parent.join()
        os._exit(1)

    if parent is not None:
        threading.Thread(target=follow, daemon=True).start()
