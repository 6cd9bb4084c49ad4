"""Passes tensors from one process to another through a file in memory.

Neither room in /dev/shm is needed, of which a container has 64 MB, nor a file descriptor for each tensor.
"""

from __future__ import annotations

import io
import os
import pickle
import tempfile
from multiprocessing import reduction
from typing import Any

import torch
from torch import Tensor

SLOT = 2**36  # bytes between two slots of a file, which has holes: only what is written takes memory


class MemoryFile:
    """A file in memory that this process and its workers have open."""

    def __init__(self, descriptor: int | None = None):
        if descriptor is None and hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("ibc-batches")
        if descriptor is None:  # not Linux
            with tempfile.TemporaryFile(buffering=0) as file:
                descriptor = os.dup(file.fileno())
        self.descriptor = descriptor

    def __reduce__(self) -> tuple:
        """For a worker that is spawned."""
        return _opened, (reduction.DupFd(self.descriptor),)

    def __del__(self) -> None:
        os.close(self.descriptor)


def _opened(copy: Any) -> MemoryFile:
    return MemoryFile(copy.detach())


class _Dumper(pickle.Pickler):
    """Pickles, but for tensors, whose bytes go to the file."""

    def __init__(self, stream: io.BytesIO, file: MemoryFile, slot: int):
        super().__init__(stream, pickle.HIGHEST_PROTOCOL)
        self.file, self.offset = file.descriptor, slot * SLOT

    def persistent_id(self, item: Any) -> Any:
        """dtype, shape and place of a tensor; None for anything else."""
        if not isinstance(item, Tensor):
            return None
        begin, rest = self.offset, _bytes_of(item.contiguous())
        while len(rest):
            written = os.pwrite(self.file, rest, self.offset)
            rest, self.offset = rest[written:], self.offset + written
        return item.dtype, tuple(item.shape), begin


class _Loader(pickle.Unpickler):
    """The other end: reads the tensors into new memory, pinned where there is a GPU."""

    def __init__(self, stream: io.BytesIO, file: MemoryFile):
        super().__init__(stream)
        self.file = file.descriptor

    def persistent_load(self, pid: Any) -> Tensor:
        """The tensor."""
        dtype, shape, offset = pid
        tensor = torch.empty(shape, dtype=dtype, pin_memory=torch.cuda.is_available())
        rest = _bytes_of(tensor)
        while len(rest):
            count = os.preadv(self.file, [rest], offset)
            rest, offset = rest[count:], offset + count
        return tensor


def _bytes_of(tensor: Tensor) -> memoryview:
    """The memory of a contiguous tensor."""
    return memoryview(tensor.view(-1).view(torch.uint8).numpy().data) if tensor.numel() else memoryview(b"")


def dump(item: Any, file: MemoryFile, slot: int) -> bytes:
    """Write the tensors of an item into a slot of the file. Returns the rest of it, which ``load`` takes.

    Nobody may read from that slot any more.
    """
    stream = io.BytesIO()
    _Dumper(stream, file, slot).dump(item)
    return stream.getvalue()


def load(content: bytes, file: MemoryFile) -> Any:
    """The item that ``dump`` made ``content`` of in another process."""
    return _Loader(io.BytesIO(content), file).load()
