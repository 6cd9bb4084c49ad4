"""Batches made on one GPU by several processes.

Before nvJPEG decodes on the GPU, a CPU thread parses every file, and a Python process has one
interpreter: one process decodes half of what the GPU can. Here each process makes every n-th batch
with a ``GpuLoader`` and leaves it in device memory that it shares with the consumer, so pixels
never travel through the host. (The kernels of several processes take turns on the chip, though.)
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Queue
from typing import Any

import torch
import torch.multiprocessing  # registers how tensors travel through a Connection
from torch import Tensor

from ibc.data.dataset import Batch, Key, Pixels
from ibc.data.gpu_loader import READERS, GpuLoader, read_files
from ibc.data.list_file import ImageList
from ibc.errors import InputError

AHEAD = 3          # batches asked of a process before they are needed
SLOTS = AHEAD + 1  # and one that the consumer may still be copying


class GpuWorkers:
    """``count`` processes that decode, crop and flip the images of a list on ``device``."""

    def __init__(self, images: ImageList, pixels: Pixels, device: torch.device, *, seed: int, skip_bad: bool,
                 count: int):
        self.settings = (images, pixels, device, seed, skip_bad)
        self.count = count

    def batches(self, order: Iterable[list[Key]]) -> Iterator[Batch]:
        """The batches of ``order``, made ahead. The processes live as long as this iterator."""
        keys = iter(order)
        workers = [_Worker(*self.settings) for _ in range(self.count)]
        turns, asked = cycle(workers), deque[_Worker]()
        try:
            for _ in range(AHEAD * self.count):
                _ask(next(turns), keys, asked)
            while asked:
                worker = asked.popleft()
                batch = worker.receive()
                _ask(next(turns), keys, asked)
                yield batch
        finally:
            for worker in workers:
                worker.close()


def _ask(worker: _Worker, keys: Iterator[list[Key]], asked: deque[_Worker]) -> None:
    following = next(keys, None)
    if following is not None:
        worker.ask(following)
        asked.append(worker)


class _Worker:
    """The consumer's end of one process."""

    def __init__(self, images: ImageList, pixels: Pixels, device: torch.device, seed: int, skip_bad: bool):
        self.device = device
        self.connection, theirs = Pipe()
        root = str(Path(__file__).resolve().parents[2])
        # A plain process, not multiprocessing's: that would run the user's own main module again.
        number = theirs.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import main; main()", str(number)], pass_fds=[number],
            stdin=subprocess.DEVNULL, start_new_session=True,  # Ctrl-C is for the main process, which ends this one
            env={**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])})
        theirs.close()
        self.slots: Tensor | None = None
        self.received = 0
        self.copied: torch.cuda.Event | None = None  # the batch before is no longer in its slot
        self.settings: tuple | None = (images, pixels, str(device), seed, skip_bad)

    def ask(self, keys: list[Key]) -> None:
        if self.settings is not None:
            self._send((*self.settings, len(keys)))  # no later batch is larger than the first
            self.settings = None
        self._send(keys)

    def receive(self) -> Batch:
        """The next batch asked for, in memory of the consumer's own. Raises what its making raised."""
        if self.slots is None:
            self.slots = self._take()
        labels, indices, bad = self._take()
        self._wait()  # what is asked for next may overwrite the slot of the batch before
        images = self.slots[self.received % SLOTS, : len(indices)].clone()
        self.received += 1
        if images.is_cuda:
            self.copied = torch.cuda.Event()
            self.copied.record(torch.cuda.current_stream(images.device))
        return Batch(images, torch.from_numpy(labels), torch.from_numpy(indices), bad, "")

    def close(self) -> None:
        self._wait()
        self.slots = None  # before the process that owns them ends
        self.connection.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _wait(self) -> None:
        if self.copied is not None:
            self.copied.synchronize()

    def _send(self, item: object) -> None:
        try:
            self.connection.send(item)
        except OSError:  # it has ended: after the batches it still made, it says why, or nothing
            while True:
                self._take()

    def _take(self) -> Any:
        """What the process made, or an exception in place of what it could not make."""
        try:
            made, failure = self.connection.recv()
        except (EOFError, OSError):
            status = self.process.poll()
            raise RuntimeError("a process that decodes images ended unexpectedly"
                               + (f" (status {status})" if status is not None else "")) from None
        if failure is not None:
            raise failure
        return made


def main() -> None:
    """What each process runs; its argument is the descriptor of the connection."""
    number = int(sys.argv[1])
    os.set_inheritable(number, False)  # a process of its own that outlives it would keep the connection open
    serve(Connection(number))


def serve(connection: Connection) -> None:
    """Make the batches that are asked for, until the consumer closes the connection."""
    try:
        images, pixels, device, seed, skip_bad, most = connection.recv()
    except (EOFError, OSError):
        return  # it wants none
    try:
        loader = GpuLoader(images, pixels, torch.device(device), seed=seed, skip_bad=skip_bad)
        if device == "cpu":  # tests: shared by name, since a descriptor could not be handed over
            torch.multiprocessing.set_sharing_strategy("file_system")
        slots = torch.empty(SLOTS, most, 3, *pixels.crop, dtype=torch.uint8, device=device)
        connection.send((slots, None))
        asked: Queue[tuple[list[Key], Future] | None] = Queue()
        with ThreadPoolExecutor(READERS) as readers:
            threading.Thread(target=_receive, args=(connection, images, readers, asked), daemon=True).start()
            number = 0
            while (item := asked.get()) is not None:
                batch = loader.make(*item)
                slots[number % SLOTS, : len(batch.images)].copy_(batch.images)
                if slots.is_cuda:
                    torch.cuda.current_stream(slots.device).synchronize()
                connection.send(((batch.labels.numpy(), batch.indices.numpy(), batch.bad), None))
                number += 1
    except (BrokenPipeError, ConnectionResetError):
        pass  # the consumer wants no more
    except InputError as error:
        connection.send((None, error))
    except Exception:  # whatever it is, the consumer must hear of it
        connection.send((None, RuntimeError(f"in a process that decodes images:\n{traceback.format_exc()}")))


def _receive(connection: Connection, images: ImageList, readers: ThreadPoolExecutor, asked: Queue) -> None:
    """Start reading the files of every batch as soon as it is asked for."""
    try:
        while True:
            keys = connection.recv()
            asked.put((keys, readers.submit(read_files, [(index, images.files[index]) for _, index in keys])))
    except (EOFError, OSError):
        asked.put(None)
