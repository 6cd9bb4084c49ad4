"""Batches of work over all cores: one function, many batches, results in the order in which they are ready."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import forkserver, get_context, parent_process, resource_tracker
from typing import TypeVar

from ibc.errors import LostWorker
from ibc.signals import StopSignals, interrupt_once

T = TypeVar("T")
R = TypeVar("R")


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of ``size`` items each; the last one may be shorter. Items are drawn as they are needed."""
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def run_batches(job: Callable[[list[T]], R], batches: Iterator[list[T]], workers: int) -> Iterator[R]:
    """``job(batch)`` of every batch, by ``workers`` processes, in any order; with one worker in this process, in order.

    ``job`` must be picklable. Batches are drawn as they are needed, so that not all of them have to fit in memory.
    Raises LostWorker where the system kills a worker. Ctrl-C ends it once the batches in work are done.
    """
    if workers <= 1:
        yield from map(job, batches)
        return
    context = get_context("forkserver")
    with _errors_of_starting():
        _start_server([job.__class__.__module__, "torch"])
    waiting: set[Future] = set()
    with _interrupts() as stop:
        with _errors_of_starting():
            pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
        try:
            while True:
                for batch in islice(batches, 2 * workers + 2 - len(waiting)):
                    with stop.held(), _errors_of_starting():
                        waiting.add(pool.submit(job, batch))
                    if stop.noted:
                        break
                if stop.noted:
                    raise KeyboardInterrupt
                if not waiting:
                    return
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        except BrokenProcessPool:
            raise LostWorker("a worker process was killed (out of memory?); run the same command again to continue, "
                             "with fewer --workers") from None
        finally:
            with stop.held():
                pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _errors_of_starting() -> Iterator[None]:
    """Inside, an error of the system that keeps processes from starting is a LostWorker."""
    try:
        yield
    except OSError as error:
        raise LostWorker(f"worker processes cannot start ({error.strerror or error}; they need processes, file "
                         "descriptors and a little room in /dev/shm); run it with --workers 1") from None


def _interrupts() -> StopSignals:
    """Notes Ctrl-C, where nobody else handles it.

    A pool that is interrupted while it starts a worker loses sight of it, and one whose shutdown is interrupted never
    ends: at exit its queue is closed before its workers are told. These two sections are held.
    """
    ours = signal.getsignal(signal.SIGINT) in (signal.default_int_handler, interrupt_once)
    return StopSignals([signal.SIGINT] if ours else [])


def _start_server(modules: list[str]) -> None:
    """Start the process that workers are forked from. It imports ``modules`` once for all of them.

    SIGINT is blocked in it from its start, and so in the workers: this process alone handles Ctrl-C.
    """
    resource_tracker.ensure_running()  # this comes first, because its start unblocks the signal
    forkserver.set_forkserver_preload(modules)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    """Give the worker one thread for torch, and let it end when its parent is gone."""
    import torch  # noqa: PLC0415 - the parent may do without it; it takes 2 s

    torch.set_num_threads(1)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """Wait for the parent's end, then end this process."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
