"""Scalars of a training run in a file that TensorBoard reads.

TensorBoard's own writer works in a thread, which dies with a traceback when the disk is full. This one writes its
records at once, and a run goes on without them.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from io import BufferedWriter
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


class ScalarLog:
    """Writes one event file. error: why nothing is written any more, else None."""

    def __init__(self, folder: Path, purge_step: int | None):
        """purge_step: TensorBoard forgets what an earlier file of the folder says from this step on."""
        self.error: OSError | None = None
        self._file: BufferedWriter | None = None
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
        self.path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "wb")  # noqa: SIM115 - closed by close
        except OSError as error:
            self.error = error
            return
        self._records = RecordWriter(self._file)
        self._write(Event(step=purge_step or 0, file_version="brain.Event:2"))
        if purge_step is not None:
            self._write(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Write one value."""
        self._write(Event(step=step, summary=Summary(value=[Summary.Value(tag=name, simple_value=value)])))

    def _write(self, event: Event) -> None:
        if self._file is not None and self.error is None:
            event.wall_time = time.time()
            try:
                self._records.write(event.SerializeToString())
                self._file.flush()
            except OSError as error:
                self.error = error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with suppress(OSError):  # the rest of what could not be written
                self._file.close()
