"""Processes that read image files, a batch at a time, for decoders on the GPU.

Threads would wait for the training process's interpreter, and hold it up, at every file. The contents lie in memory
shared with the processes: sending one tensor a batch would cost milliseconds of waiting.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue

from ibc.data.gpu.file_batch import FileBatch, FileBatchReader
from ibc.data.loader_workers import end_at_exit, ignore_stop_signals, lost


class FileReaders:
    """``count`` processes that read ``files``; with 0 the calling thread reads.

    As many threads as there are processes may call ``read`` at once. Whichever process is free serves them: one that is
    slow for a while, on a busy core or disk, holds up its own batch only. The processes end when the ``with`` block
    does, and when this process ends, in whatever way.
    """

    def __init__(self, files: Sequence[str], count: int, *, slots: int, batch_size: int):
        """slots: batches in the shared memory. batch_size: files of each."""
        self._reader = FileBatchReader(files, slots, batch_size)
        self._free: SimpleQueue[Connection] = SimpleQueue()
        self._connections: list[Connection] = []
        self._processes = []
        for _ in range(count):
            fork = multiprocessing.get_context("fork")  # forked processes share the memory of the slots
            here, there = fork.Pipe()
            self._connections.append(here)
            process = fork.Process(target=_serve, args=(self._reader, there, list(self._connections)), daemon=True)
            process.start()
            there.close()
            self._processes.append(process)
            self._free.put(here)
        end_at_exit(self, FileReaders.close)

    def __enter__(self) -> FileReaders:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes. Call it when no thread reads any more; it may be called again."""
        for connection in self._connections:
            with suppress(OSError):  # closed before, or the process was killed
                connection.send(None)
            connection.close()
        for process in self._processes:
            process.join()

    def read(self, slot: int, indices: list[int]) -> FileBatch:
        """The files ``indices``, in a slot of the shared memory that nobody reads from any more.

        Raises LostWorker where the process that reads them was killed.
        """
        if not self._connections or not indices:
            return self._reader.received(self._reader.read_into(slot, indices))
        connection = self._free.get()
        try:
            connection.send((slot, indices))
            return self._reader.received(connection.recv())
        except (EOFError, ConnectionError):
            raise lost(self._processes[self._connections.index(connection)], "a process that reads image files"
                       ) from None
        finally:
            self._free.put(connection)


def _serve(reader: FileBatchReader, requests: Connection, others: list[Connection]) -> None:
    """What a process does until it is told to end, or finds that the main process is gone."""
    ignore_stop_signals()
    for connection in others:  # with a copy open here, no process would notice that the main process is gone
        connection.close()
    with suppress(EOFError, ConnectionError):
        while (request := requests.recv()) is not None:
            requests.send(reader.read_into(*request))
