"""Contents of image files on their way to a decoder on the GPU, a batch at a time (``ibc.data.gpu.file_readers``)."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ibc.data.decode import baseline_size, is_whole_jpeg
from ibc.data.zip_folder import read_bytes
from ibc.errors import InputError

USUAL_FILE = 256 << 10  # bytes of shared memory for each file of a batch


class FileBatch(NamedTuple):
    """Files of one batch, those that can be read and fit.

    indices: their places in the list. data: (bytes,) uint8, one file after the other. starts: (n + 1,) int64,
    where each begins and the last one ends. sizes: (n, 2) int64, height and width of a whole baseline JPEG,
    zeros for any other file. errors: index -> why a file cannot be read. left: indices that did not fit.
    slot: where in the shared memory the data lie, on the way from another process.
    """

    indices: list[int]
    data: Tensor
    starts: np.ndarray
    sizes: np.ndarray
    errors: dict[int, InputError]
    left: list[int]
    slot: int | None

    def file(self, place: int) -> bytes:
        """The content at a place of ``indices``."""
        return self.data[self.starts[place] : self.starts[place + 1]].numpy().tobytes()


class FileBatchReader:
    """Reads files (or members, ``pack.zip:member``), a batch at a time.

    ``slots`` batches of ``batch_size`` usual files fit the memory shared with processes forked later.
    """

    def __init__(self, files: Sequence[str], slots: int = 1, batch_size: int = 0):
        self.files = files
        self.room = max(1, batch_size * USUAL_FILE)  # bytes of a slot
        memory = mmap.mmap(-1, slots * self.room)  # takes pages when they are filled
        self._slots = torch.frombuffer(memory, dtype=torch.uint8).view(slots, self.room)

    def read_into(self, slot: int, indices: list[int]) -> FileBatch:
        """Read into a slot that nobody reads from any more; what does not fit is left."""
        return self._read(indices, self.room, slot)

    def received(self, contents: FileBatch) -> FileBatch:
        """What another process has read into a slot, with its data."""
        assert contents.slot is not None
        return contents._replace(data=self._slots[contents.slot])

    def read(self, indices: list[int], room: int) -> FileBatch:
        """Read in this process: at least one file, and as many as ``room`` bytes hold."""
        return self._read(indices, room, None)

    def _read(self, indices: list[int], room: int, slot: int | None) -> FileBatch:
        found: dict[int, bytes] = {}
        errors: dict[int, InputError] = {}
        left: list[int] = []
        size = 0
        for place, index in enumerate(indices):
            try:
                content = _content(self.files[index])
            except InputError as error:
                errors[index] = error
                continue
            if size + len(content) > room and (found or slot is not None):
                left = indices[place:]
                break
            found[index] = content
            size += len(content)
        contents = list(found.values())
        sizes = [(is_whole_jpeg(content) and baseline_size(content)) or (0, 0) for content in contents]
        data = torch.empty(size if slot is None else 0, dtype=torch.uint8)
        target = data if slot is None else self._slots[slot, :size]
        target.numpy()[:] = np.frombuffer(b"".join(contents), np.uint8)
        return FileBatch(list(found), data, np.cumsum([0, *map(len, contents)]),
                        np.array(sizes, np.int64).reshape(-1, 2), errors, left, slot)


def _content(path: str) -> bytes:
    try:
        content = read_bytes(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if not content:
        raise InputError(f"{path}: an empty file")
    return content
