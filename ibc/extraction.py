"""Images to codes: the shared-trunk hash branch alone, batch by batch, in list order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from ibc.cli import Progress
from ibc.config import Config
from ibc.data.augment import normalise
from ibc.data.dataset import Batch
from ibc.data.list_file import ImageList
from ibc.data.loader import test_batches
from ibc.distributed import gather, is_main, rank, world_size
from ibc.network import IBC

PART = 16384  # codes in a part of pinned memory, which takes long to get


@dataclass
class Encoded:
    """codes: (n, K) float32 in (0, 1). indices: (n,) int64, places in the list. bad: files left out."""

    codes: np.ndarray
    indices: np.ndarray
    bad: list[str]


def encode_images(model: IBC, config: Config, images: ImageList, device: torch.device, *,
                  resize_always: bool | None = None, skip_bad: bool = False) -> Encoded | None:
    """Encode a list with a progress bar. Of several processes each takes a part; the main one gets all, in order.

    Returns None in the other processes. Raises InputError for an unreadable image, unless ``skip_bad``.
    """
    first, last = (part * len(images) // world_size() for part in (rank(), rank() + 1))
    mine = images.subset(np.arange(first, last))
    batches = test_batches(config, mine, device, resize_always=resize_always, skip_bad=skip_bad)
    if is_main():
        with Progress(len(mine), "extracting") as bar:
            encoded = encode_batches(model, batches, device, bar.update)
    else:
        encoded = encode_batches(model, batches, device)
    encoded.indices += first
    parts = gather(encoded)
    if not parts:
        return None
    return Encoded(np.concatenate([part.codes for part in parts]), np.concatenate([part.indices for part in parts]),
                   [path for part in parts for path in part.bad])


def encode_batches(model: IBC, batches: Iterable[Batch], device: torch.device,
                   done: Callable[[int], None] = lambda count: None) -> Encoded:
    """Encode every batch with ``model`` (on ``device``, in eval mode); ``done`` hears of each batch's size.

    The copy of a batch's codes back to the host overlaps the next batch.
    """
    codes = _HostCodes(model.grm.shape[1])
    indices: list[torch.Tensor] = []
    bad: list[str] = []
    with torch.inference_mode():
        for batch in batches:
            bad += batch.bad
            if len(batch.images):
                images = normalise(batch.images.to(device, non_blocking=True))
                images = images.contiguous(memory_format=torch.channels_last)
                codes.append(model.encode(images).float())
                indices.append(batch.indices)
            done(len(batch.images) + len(batch.bad))
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return Encoded(codes.all().numpy(),
                   torch.cat(indices).numpy() if indices else np.empty(0, np.int64), bad)


class _HostCodes:
    """Codes in main memory, copied there batch by batch; from a GPU without waiting, into large pinned parts."""

    def __init__(self, bits: int):
        self.parts = [torch.empty(0, bits)]
        self.filled = 0  # rows of the last part

    def append(self, codes: torch.Tensor) -> None:
        if self.filled + len(codes) > len(self.parts[-1]):
            self.parts[-1] = self.parts[-1][: self.filled]
            rows = max(len(codes), PART if codes.is_cuda else len(codes))
            self.parts.append(torch.empty(rows, codes.shape[1], pin_memory=codes.is_cuda))
            self.filled = 0
        self.parts[-1][self.filled : self.filled + len(codes)].copy_(codes, non_blocking=True)
        self.filled += len(codes)

    def all(self) -> torch.Tensor:
        """(n, bits) float32; the device must have finished."""
        return torch.cat([*self.parts[:-1], self.parts[-1][: self.filled]])
