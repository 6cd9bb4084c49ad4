"""Worker processes that make whole batches ahead of their use, in order."""

from __future__ import annotations

import atexit
import signal
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch.utils.data import DataLoader, Dataset

T = TypeVar("T")
AHEAD = 4  # batches that each worker makes ahead


def by_workers(dataset: Dataset, order: Iterable, workers: int, *, ahead: int = AHEAD) -> Iterator[Any]:
    """What ``dataset.__getitems__`` makes of each item of ``order``, in that order.

    ``workers``: processes that make it; 0: this process does. This process draws from ``order``, ``ahead`` items for
    each worker before they are needed.
    """
    batches: Any = iter(DataLoader(
        dataset, batch_sampler=order, collate_fn=_leave_as_it_is, num_workers=workers,
        worker_init_fn=ignore_stop_signals, prefetch_factor=ahead if workers else None,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator().manual_seed(0),  # the loader must not draw from the global one
    ))
    if workers:
        end_at_exit(batches, lambda batches: batches._shutdown_workers())
        _processes.update(batches._workers)
    return batches


def end_at_exit(owner: T, end: Callable[[T], None]) -> None:
    """Call ``end(owner)`` when the program ends, if ``owner`` still lives then, so that its worker processes end too.

    The frames of an uncaught exception, or a reference cycle, may keep ``owner`` alive. Its processes ignore SIGTERM,
    so that Python would wait for them for ever.
    """
    _register_once()
    _owners[owner] = end


_owners: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()
_processes: WeakSet[BaseProcess] = WeakSet()


@cache
def _register_once() -> None:
    atexit.register(_end_workers)


def _end_workers() -> None:
    for owner, end in list(_owners.items()):
        end(owner)
    for process in list(_processes):
        if process.is_alive():  # its loader was garbage, freed in a cycle together with the queue that would tell it
            process.kill()


def ignore_stop_signals(_: int = 0) -> None:
    """Ignore SIGINT and SIGTERM in a worker process.

    Ctrl-C reaches all processes of the group, and the main process still needs its workers to end in good order.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _leave_as_it_is(batch: Any) -> Any:
    """For a data set that makes whole batches: nothing is left to collate."""
    return batch
