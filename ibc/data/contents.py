"""Contents of image files on their way to a decoder on the GPU: read by worker processes, a batch at a time.

Threads would wait for the training process's interpreter, and hold it up, at every file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ibc.data.decode import baseline_size, is_whole_jpeg
from ibc.data.packed import read_bytes
from ibc.errors import InputError


class Contents(NamedTuple):
    """The files of one batch, those that can be read.

    indices: their places in the list. data: (bytes,) uint8, one file after the other. starts: (n + 1,) int64,
    where each begins and the last one ends. sizes: (n, 2) int64, height and width of a whole baseline
    JPEG, zeros for any other file. errors: index -> why a file cannot be read.
    """

    indices: list[int]
    data: Tensor
    starts: np.ndarray
    sizes: np.ndarray
    errors: dict[int, InputError]

    def file(self, place: int) -> bytes:
        """The content at a place of ``indices``."""
        return self.data[self.starts[place] : self.starts[place + 1]].numpy().tobytes()


class ContentReader(Dataset):
    """Reads files (or members, ``pack.zip:member``), a batch at a time."""

    def __init__(self, files: Sequence[str]):
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitems__(self, indices: list[int]) -> Contents:
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
        data = torch.frombuffer(bytearray().join(contents), dtype=torch.uint8) if contents else torch.empty(0).byte()
        return Contents(list(found), data, starts, np.array(sizes, np.int64).reshape(-1, 2), errors)


def _content(path: str) -> bytes:
    try:
        content = read_bytes(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if not content:
        raise InputError(f"{path}: an empty file")
    return content
