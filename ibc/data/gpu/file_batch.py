"""The files of one batch in one piece of memory, on their way from disk to a decoder.

Processes read them (``ibc.data.gpu.file_readers``) into memory that they share with this one.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ibc.data.decode import ImageError, read_image_file
from ibc.data.jpeg import is_whole_jpeg, read_jpeg_header
from ibc.data.limits import most_pixels
from ibc.errors import InputError

USUAL_FILE = 256 << 10  # bytes of shared memory for each file of a batch
PORTION = 16 << 20      # bytes of files that are decoded together, so that photographs fit the memory too
MOST_PIXELS_A_BYTE = 256  # in a baseline JPEG every 64 pixels take two bits at least


class FileBatch(NamedTuple):
    """The files of one batch: those that can be read and that fit.

    indices: their places in the list. data: (bytes,) uint8, one file after the other. starts: (n + 1,) int64, where
    each file begins, and where the last one ends. sizes: (n, 2) int64, height and width of a whole baseline JPEG that
    is upright, zeros for any other file. errors: index -> why a file cannot be read. left: indices of the files that
    did not fit. slot: where in the shared memory the data lie; None: ``data`` holds them.
    """

    indices: list[int]
    data: Tensor
    starts: np.ndarray
    sizes: np.ndarray
    errors: dict[int, ImageError]
    left: list[int]
    slot: int | None

    def file(self, place: int) -> bytes:
        """The content of the file at a place of ``indices``."""
        return self.data[self.starts[place] : self.starts[place + 1]].numpy().tobytes()

    def portions(self) -> list[np.ndarray]:
        """Places of ``indices`` in parts of about ``PORTION`` bytes, each of about as many files.

        nvJPEG has to be prepared anew for another number of files.
        """
        count = len(self.indices)
        return np.array_split(np.arange(count), -(-int(self.starts[-1]) // PORTION)) if count else []


class FileBatchReader:
    """Reads files (or members, ``pack.zip:member``) of a list, a batch at a time.

    Its memory is shared with processes that are forked later. It has ``slots`` slots, each large enough for
    ``batch_size`` usual files.
    """

    def __init__(self, files: Sequence[str], slots: int = 1, batch_size: int = 0):
        self.files = files
        self.room = max(1, batch_size * USUAL_FILE)  # bytes of a slot
        memory = mmap.mmap(-1, slots * self.room)  # takes pages only when they are filled
        self._slots = torch.frombuffer(memory, dtype=torch.uint8).view(slots, self.room)

    def read_into(self, slot: int, indices: list[int]) -> FileBatch:
        """Read into a slot that nobody reads from any more. What does not fit is ``left``."""
        return self._read(indices, self.room, slot)

    def received(self, batch: FileBatch) -> FileBatch:
        """The batch that another process has read into a slot, with its data."""
        assert batch.slot is not None
        return batch._replace(data=self._slots[batch.slot])

    def read(self, indices: list[int], room: int) -> FileBatch:
        """Read into memory of this process: at least one file, and as many as ``room`` bytes hold."""
        return self._read(indices, room, None)

    def _read(self, indices: list[int], room: int, slot: int | None) -> FileBatch:
        found: dict[int, bytes] = {}
        errors: dict[int, ImageError] = {}
        left: list[int] = []
        size = 0
        for place, index in enumerate(indices):
            try:
                content = read_image_file(self.files[index])
            except InputError as error:
                errors[index] = ImageError(self.files[index], str(error))
                continue
            if size + len(content) > room and (found or slot is not None):
                left = indices[place:]
                break
            found[index] = content
            size += len(content)
        contents = list(found.values())
        sizes = [_size_for_nvjpeg(content) for content in contents]
        data = torch.empty(size if slot is None else 0, dtype=torch.uint8)
        target = data if slot is None else self._slots[slot, :size]
        target.numpy()[:] = np.frombuffer(b"".join(contents), np.uint8)
        return FileBatch(list(found), data, np.cumsum([0, *map(len, contents)]),
                         np.array(sizes, np.int64).reshape(-1, 2), errors, left, slot)


def _size_for_nvjpeg(content: bytes) -> tuple[int, int]:
    """(height, width) of a file that nvJPEG may decode; zeros for one that is left to the CPU, which also turns it."""
    header = read_jpeg_header(content) if is_whole_jpeg(content) else None
    if header is None or not header.baseline or header.orientation != 1:
        return 0, 0
    pixels = header.size[0] * header.size[1]
    return header.size if pixels <= min(most_pixels(), MOST_PIXELS_A_BYTE * len(content)) else (0, 0)
