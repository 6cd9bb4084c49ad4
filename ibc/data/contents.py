"""Contents of image files on their way to a decoder on the GPU: read by worker processes, a batch at a time.

Threads would wait for the training process's interpreter, and hold it up, at every file. And the contents
lie in memory shared with the workers: handing over one tensor a batch costs milliseconds of waiting.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ibc.data.decode import baseline_size, is_whole_jpeg
from ibc.data.packed import read_bytes
from ibc.errors import InputError

USUAL_FILE = 256 << 10  # bytes kept free for each file; a batch of larger ones is handed over as a tensor


class Contents(NamedTuple):
    """The files of one batch, those that can be read.

    indices: their places in the list. data: (bytes,) uint8, one file after the other. starts: (n + 1,) int64,
    where each begins and the last one ends. sizes: (n, 2) int64, height and width of a whole baseline JPEG,
    zeros for any other file. errors: index -> why a file cannot be read. slot: where in the shared memory
    the data lie, on the way from a worker.
    """

    indices: list[int]
    data: Tensor
    starts: np.ndarray
    sizes: np.ndarray
    errors: dict[int, InputError]
    slot: int | None = None

    def file(self, place: int) -> bytes:
        """The content at a place of ``indices``."""
        return self.data[self.starts[place] : self.starts[place + 1]].numpy().tobytes()


class ContentReader(Dataset):
    """Reads files (or members, ``pack.zip:member``), a batch at a time.

    ``slots`` batches of up to ``batch_size`` files fit the memory shared with processes forked later.
    """

    def __init__(self, files: Sequence[str], slots: int = 1, batch_size: int = 0):
        self.files = files
        size = max(1, batch_size * USUAL_FILE)
        memory = mmap.mmap(-1, slots * size)  # takes pages when they are filled
        self._slots = torch.frombuffer(memory, dtype=torch.uint8).view(slots, size)

    def __len__(self) -> int:
        return len(self.files)

    def __getitems__(self, key: tuple[int | None, list[int]]) -> Contents:
        """key: a slot that nobody reads any more, or None; indices."""
        slot, indices = key
        found: dict[int, bytes] = {}
        errors: dict[int, InputError] = {}
        for index in indices:
            try:
                found[index] = _content(self.files[index])
            except InputError as error:
                errors[index] = error
        contents = list(found.values())
        starts = np.cumsum([0, *map(len, contents)])
        sizes = [(is_whole_jpeg(content) and baseline_size(content)) or (0, 0) for content in contents]
        size = int(starts[-1])
        data = torch.empty(0, dtype=torch.uint8)
        if slot is not None and size <= self._slots.shape[1]:
            self._slots[slot].numpy()[:size] = np.frombuffer(b"".join(contents), np.uint8)
        else:
            slot = None
            if size:
                data = torch.frombuffer(bytearray().join(contents), dtype=torch.uint8)
        return Contents(list(found), data, starts, np.array(sizes, np.int64).reshape(-1, 2), errors, slot)

    def received(self, contents: Contents) -> Contents:
        """What a worker has read, with its data."""
        return contents if contents.slot is None else contents._replace(data=self._slots[contents.slot])


def _content(path: str) -> bytes:
    try:
        content = read_bytes(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if not content:
        raise InputError(f"{path}: an empty file")
    return content
