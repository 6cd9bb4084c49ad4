"""Worker processes that make whole batches ahead, in order."""

from __future__ import annotations

import atexit
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch.utils.data import DataLoader, Dataset

T = TypeVar("T")
AHEAD = 4  # batches that each worker makes ahead


def by_workers(dataset: Dataset, order: Iterable, workers: int, *, ahead: int = AHEAD) -> Iterator[Any]:
    """What ``dataset.__getitems__`` makes of each item of ``order``; ``workers`` 0: in this process.

    ``order`` is drawn from in this process, ``ahead`` items a worker ahead.
    """
    batches: Any = iter(DataLoader(
        dataset, batch_sampler=order, collate_fn=as_it_is, num_workers=workers,
        worker_init_fn=leave_signals_to_the_main_process, prefetch_factor=ahead if workers else None,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator().manual_seed(0),  # the loader must not draw from the global one
    ))
    if workers:
        end_at_exit(batches, lambda batches: batches._shutdown_workers())
    return batches


def end_at_exit(owner: T, end: Callable[[T], None]) -> None:
    """``end(owner)`` when the program ends, if ``owner`` lives then, and the worker processes with it.

    The frames of an exception that nobody caught, or a cycle, may keep it; and its processes do not heed being
    terminated, for which Python would wait.
    """
    _at_work[owner] = end


_at_work: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


@atexit.register
def _end_workers() -> None:
    for owner, end in list(_at_work.items()):
        end(owner)


def as_it_is(batch: Any) -> Any:
    """For a data set that makes whole batches: nothing is left to collate."""
    return batch


def leave_signals_to_the_main_process(_: int = 0) -> None:
    # Ctrl-C reaches the whole process group; the main process still needs its batches to end well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
