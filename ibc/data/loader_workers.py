"""Worker processes that make whole batches ahead of their use, in order.

Each worker has a pipe for keys and results, and a file in memory for the tensors of its results. When a worker ends,
for whatever reason, its pipe ends too, and this process notices it at once.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import threading
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ibc.data.memory_file import MemoryFile, dump, load
from ibc.errors import InputError, LostWorker, input_error

T = TypeVar("T")
AHEAD = 4  # batches that each worker makes ahead


class MakesBatches(Protocol):
    """What makes batches in a worker process."""

    def __getitems__(self, keys: Any) -> Any:
        """The batch of these keys: a tensor, or a tuple of tensors and of what can be pickled."""


def by_workers(dataset: MakesBatches, order: Iterable, workers: int, *, ahead: int = AHEAD) -> Iterator[Any]:
    """What ``dataset.__getitems__`` makes of each item of ``order``, in that order; tensors in pinned memory for a GPU.

    ``workers``: processes that make it; 0: this process does. This process draws from ``order``, ``ahead`` items for
    each worker before they are needed. Raises LostWorker where a worker ends before its work, or cannot start.
    """
    if workers == 0:
        pinned = torch.cuda.is_available()
        return (_pinned(batch) if pinned else batch for batch in map(dataset.__getitems__, order))
    return _Workers(dataset, order, workers, ahead)


class _Workers(Iterator[Any]):
    """The batches of ``by_workers``. Batch i comes from worker i % workers, which keeps the order."""

    def __init__(self, dataset: MakesBatches, order: Iterable, workers: int, ahead: int):
        self._order = iter(order)
        self._connections: list[Connection] = []
        self._processes: list[BaseProcess] = []
        self._end = weakref.finalize(self, _end_workers, os.getpid(), self._processes, self._connections)
        end_at_exit(self, lambda workers: workers._end())
        try:
            self._files = [MemoryFile() for _ in range(workers)]
            for file in self._files:
                here, there = multiprocessing.Pipe()
                self._connections.append(here)
                process = multiprocessing.Process(target=_serve, daemon=True,
                                                  args=(dataset, there, file, ahead, list(self._connections)))
                process.start()
                self._processes.append(process)
                there.close()
        except OSError as error:
            self._end()
            raise LostWorker(str(input_error("num_workers", f"only {len(self._processes)} of {workers} processes that "
                                             f"could start ({error.strerror})", "room for all of them",
                                             "lower num_workers, or raise the limits of the system (ulimit -a)"))
                             ) from None
        self._asked: deque[int] = deque()  # numbers of the batches that are being made
        self._next = 0
        self._ask(workers * ahead)

    def __next__(self) -> Any:
        if not self._asked:
            self._end()
            raise StopIteration
        number = self._asked.popleft()
        worker = number % len(self._processes)
        try:
            result = load(self._connections[worker].recv_bytes(), self._files[worker])
        except (EOFError, ConnectionError):
            raise self._lost(worker) from None
        self._ask(1)
        if isinstance(result, _Failure):
            self._end()
            raise result.error
        return result

    def _ask(self, count: int) -> None:
        for keys in islice(self._order, count):
            worker = self._next % len(self._connections)
            try:
                self._connections[worker].send(keys)
            except ConnectionError:
                raise self._lost(worker) from None
            self._asked.append(self._next)
            self._next += 1

    def _lost(self, worker: int) -> LostWorker:
        self._end()
        return lost(self._processes[worker], "a loader worker")


class _Failure:
    """An exception of a worker."""

    def __init__(self, error: BaseException):
        self.error = error


def _serve(dataset: MakesBatches, connection: Connection, file: MemoryFile, ahead: int,
           others: list[Connection]) -> None:
    """What a worker does until the main process is gone or ends it."""
    ignore_stop_signals()
    torch.set_num_threads(1)
    for other in others:  # with a copy open here, no process would notice that the main process is gone
        other.close()
    requests: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_receive, args=(connection, requests), daemon=True).start()
    number = 0
    while True:
        keys = requests.get()
        try:
            result = dump(dataset.__getitems__(keys), file, number % ahead)
        except Exception as error:
            result = dump(_Failure(_portable(error)), file, number % ahead)
        connection.send_bytes(result)
        number += 1


def _receive(connection: Connection, requests: SimpleQueue) -> None:
    """Take requests at once, so that the main process never waits to send one; end with the main process."""
    try:
        while True:
            requests.put(connection.recv())
    except (EOFError, OSError):
        os._exit(1)


def _portable(error: Exception) -> Exception:
    """The error as the main process shall raise it."""
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return LostWorker("a loader worker found no memory; lower num_workers or batch_size")
    if isinstance(error, InputError):
        return error
    if isinstance(error, OSError):
        return LostWorker(f"a loader worker failed: {error.strerror or error}; lower num_workers or batch_size, or "
                          "raise the limits of the system (ulimit -a)")
    return RuntimeError(f"in a loader worker:\n{''.join(traceback.format_exception(error))}")


def lost(process: BaseProcess, what: str) -> LostWorker:
    """The error for a process of ours that has ended before its work. what: the process, such as ``a worker``."""
    process.join(timeout=2)
    code = process.exitcode
    how = ("ended" if code is None or code >= 0 else f"was killed by {signal.Signals(-code).name}")
    return LostWorker(f"{what} {how}, perhaps for want of memory; lower num_workers or batch_size")


def _pinned(item: Any) -> Any:
    """The same batch, with its tensors in pinned memory."""
    if isinstance(item, Tensor):
        return item.pin_memory()
    if isinstance(item, tuple):
        parts = map(_pinned, item)
        return type(item)(*parts) if hasattr(item, "_fields") else tuple(parts)
    return item


def _end_workers(owner: int, processes: list[BaseProcess], connections: list[Connection]) -> None:
    """Kill the workers, which hold nothing that has to be put in order. owner: the process that started them."""
    if os.getpid() != owner:  # a copy in another worker
        return
    for process in processes:
        process.kill()
    for connection in connections:
        connection.close()
    for process in processes:
        process.join()


def end_at_exit(owner: T, end: Callable[[T], None]) -> None:
    """Call ``end(owner)`` when the program ends, if ``owner`` still lives then, so that its worker processes end too.

    The frames of an uncaught exception, or a reference cycle, may keep ``owner`` alive. Its processes ignore SIGTERM,
    so that Python would wait for them for ever.
    """
    _register_once()
    _owners[owner] = end


_owners: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


@cache
def _register_once() -> None:
    atexit.register(_end_owners)


def _end_owners() -> None:
    for owner, end in list(_owners.items()):
        end(owner)


def ignore_stop_signals() -> None:
    """Ignore SIGINT and SIGTERM in a worker process.

    Ctrl-C reaches all processes of the group, and the main process still needs its workers to end in good order.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
