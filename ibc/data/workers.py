"""Worker processes that make whole batches ahead, in order."""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Iterable, Iterator
from typing import Any
from weakref import WeakSet

import torch
from torch.utils.data import DataLoader, Dataset

AHEAD = 4  # batches that each worker makes ahead


def by_workers(dataset: Dataset, order: Iterable, workers: int, *, ahead: int = AHEAD) -> Iterator[Any]:
    """What ``dataset.__getitems__`` makes of each item of ``order``; ``workers`` 0: in this process.

    ``order`` is drawn from in this process, ``ahead`` items a worker ahead.
    """
    batches = iter(DataLoader(
        dataset, batch_sampler=order, collate_fn=as_it_is, num_workers=workers,  # type: ignore[arg-type]
        worker_init_fn=leave_signals_to_the_main_process, prefetch_factor=ahead if workers else None,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator().manual_seed(0),  # the loader must not draw from the global one
    ))
    _at_work.add(batches)
    return batches


_at_work: WeakSet[Any] = WeakSet()


@atexit.register
def _end_workers() -> None:
    """After an exception that nobody caught, whose frames keep the workers: they do not heed being terminated."""
    for batches in list(_at_work):
        if hasattr(batches, "_shutdown_workers"):
            batches._shutdown_workers()


def as_it_is(batch: Any) -> Any:
    """For a data set that makes whole batches: nothing is left to collate."""
    return batch


def leave_signals_to_the_main_process(_: int = 0) -> None:
    # Ctrl-C reaches the whole process group; the main process still needs its batches to end well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def processes_here() -> int:
    """Processes that share this machine in one run: as many as torchrun started on it."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def cores_here() -> int:
    """CPU cores for this process: those of the machine, shared with the others of the run."""
    return len(os.sched_getaffinity(0)) // processes_here()
