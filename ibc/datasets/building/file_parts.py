"""Parts of a file on disk, read at their place by several readers at once."""

from __future__ import annotations

import os
from functools import lru_cache
from io import RawIOBase
from typing import Any


def descriptor(container: str) -> int:
    """An open descriptor of an archive, one in each process; ``os.pread`` lets several readers share it."""
    state = os.stat(container)
    return _opened(container, state.st_ino, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _opened(container: str, *stamp: int) -> int:
    """``stamp``: tells the file from one that replaced it."""
    return os.open(container, os.O_RDONLY)


def read_part(container: str, offset: int, size: int) -> bytes:
    """``size`` bytes from ``offset``. Raises OSError where the file has fewer."""
    opened = descriptor(container)
    left = os.fstat(opened).st_size - offset
    data = os.pread(opened, size, offset) if 0 <= size <= left else b""
    if len(data) != size:
        raise OSError("archive ends in the middle of the file")
    return data


class FilePart(RawIOBase):
    """A part of a file, ``size`` bytes from ``offset``, as a file of its own: a tar inside a tar."""

    def __init__(self, container: str, offset: int, size: int):
        self.container, self.offset, self.size, self.position = container, offset, size, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` from here on; returns the number of bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def tell(self) -> int:
        """The place of the next byte."""
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place, and return it."""
        self.position = offset + (0, self.position, self.size)[whence]
        return self.position

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes from here on; all without a size."""
        left = max(self.size - self.position, 0)
        size = left if size is None or size < 0 else min(size, left)
        data = os.pread(descriptor(self.container), size, self.offset + self.position) if size else b""
        self.position += len(data)
        return data
