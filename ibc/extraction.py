"""Images to codes: the shared-trunk hash branch alone, batch by batch, in list order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from ibc.data.augment import normalise
from ibc.data.dataset import Batch
from ibc.network import IBC


@dataclass
class Encoded:
    """codes: (n, K) float32 in (0, 1). indices: (n,) int64, places in the list. bad: files left out."""

    codes: np.ndarray
    indices: np.ndarray
    bad: list[str]


def encode_batches(model: IBC, batches: Iterable[Batch], device: torch.device,
                   done: Callable[[int], None] = lambda count: None) -> Encoded:
    """Encode every batch with ``model`` (on ``device``, in eval mode); ``done`` hears of each batch's size.

    The copy of a batch's codes back to the host overlaps the next batch.
    """
    codes: list[torch.Tensor] = []
    indices: list[torch.Tensor] = []
    bad: list[str] = []
    with torch.inference_mode():
        for batch in batches:
            bad += batch.bad
            if len(batch.images):
                images = normalise(batch.images.to(device, non_blocking=True))
                images = images.contiguous(memory_format=torch.channels_last)
                codes.append(_to_host(model.encode(images).float()))
                indices.append(batch.indices)
            done(len(batch.images) + len(batch.bad))
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    bits = model.grm.shape[1]
    return Encoded(torch.cat(codes).numpy() if codes else np.empty((0, bits), np.float32),
                   torch.cat(indices).numpy() if indices else np.empty(0, np.int64), bad)


def _to_host(codes: torch.Tensor) -> torch.Tensor:
    if codes.device.type == "cpu":
        return codes
    host = torch.empty(codes.shape, dtype=codes.dtype, pin_memory=True)
    return host.copy_(codes, non_blocking=True)
