"""stdout and stderr of a command that never end its work: a reader that goes away, a full disk, a stream closed before.

What nobody can read any more is dropped, and the work goes on: files are written as if it had been read.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from ibc.screen import show

ESCAPES = "backslashreplace"  # how a character is written that the terminal lacks, as in an odd file name


class SteadyOutput(io.RawIOBase):
    """Writes to a file descriptor. After the first error nothing is written any more.

    error: that error, unless the reader of a pipe went away: that is no fault (``ibc evaluate … | head -1``).
    """

    def __init__(self, descriptor: int):
        self.error: OSError | None = None
        self._descriptor, self._open = descriptor, True

    def write(self, content) -> int:  # type: ignore[no-untyped-def]
        """Write some of the bytes; says how many. Raises no OSError."""
        while self._open:
            try:
                return os.write(self._descriptor, content)
            except BlockingIOError:  # a stream that another program made non-blocking
                select.select([], [self._descriptor], [])
            except OSError as error:
                self._open = False
                if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                    self.error = error
        return len(content)

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """The file descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        with suppress(OSError):
            return os.isatty(self._descriptor)
        return False


def with_steady_streams(body: Callable[[], int]) -> int:
    """The exit code of ``body()``, for whose length stdout and stderr write by a ``SteadyOutput`` each.

    2 where it would be 0, and stdout could not be written. Streams that are not those of the process (a notebook's, a
    test's) stay as they are.
    """
    for number in range(3):  # a file that is opened later must not become the standard output
        with suppress(OSError):
            _occupy(number)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _steady(sys.stdout, 1), _steady(sys.stderr, 2)
    try:
        code = body()
        sys.stdout.flush()
        output = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
        if code == 0 and isinstance(output, SteadyOutput) and output.error is not None:
            show(f"error: stdout: {output.error.strerror}", sys.stderr)
            return 2
        return code
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def _occupy(number: int) -> None:
    """Open the null device as a standard stream that was closed when the process began."""
    try:
        os.fstat(number)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != number:
            os.dup2(null, number)
            os.close(null)


def _steady(stream: TextIO | None, number: int) -> TextIO:
    """The stream that takes the place of a standard one."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")
    if stream is not (sys.__stdout__, sys.__stderr__)[number - 1] or type(stream) is not io.TextIOWrapper:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ESCAPES)
        return stream
    with suppress(OSError):
        stream.flush()
    return io.TextIOWrapper(io.BufferedWriter(SteadyOutput(number)), stream.encoding, ESCAPES,
                            line_buffering=stream.line_buffering, write_through=stream.write_through)
