"""Images to codes: the shared-trunk hash branch alone, batch by batch, in list order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from ibc.accelerate.encoder import HostCodes, encoder
from ibc.config import Config
from ibc.data.batch import Batch
from ibc.data.list_file import ImageList
from ibc.data.loader import encoding_batches
from ibc.memory import lower_on_memory_error
from ibc.network import IBC
from ibc.normalise import normalise
from ibc.processes import gather, gather_rows, is_main, rank, world_size
from ibc.progress import Progress


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
    batches = encoding_batches(config, mine, device, resize_always=resize_always, skip_bad=skip_bad)
    if is_main():
        with Progress(len(mine), "extracting") as bar:
            encoded = encode_batches(model, batches, len(mine), device, bar.update)
    else:
        encoded = encode_batches(model, batches, len(mine), device)
    codes = gather_rows(torch.from_numpy(encoded.codes))
    indices = gather_rows(torch.from_numpy(encoded.indices + first))
    bad = gather(encoded.bad)
    if codes is None or indices is None:
        return None
    return Encoded(codes.numpy(), indices.numpy(), [path for part in bad for path in part])


def encode_batches(model: IBC, batches: Iterable[Batch], count: int, device: torch.device,
                   done: Callable[[int], None] = lambda count: None) -> Encoded:
    """Encode every batch, at most ``count`` images, with ``model`` (on ``device``, in eval mode).

    done: hears of the number of images of each batch. Raises OutOfMemory, which names the setting to lower.
    """
    codes = HostCodes(count, model.grm.shape[1])
    indices: list[torch.Tensor] = []
    bad: list[str] = []
    size = "a batch"

    with lower_on_memory_error("batch_size", lambda: size, "take a smaller one: --set batch_size=N"), encoder(
            model, device) as encode:
        for batch in batches:
            size = " x ".join(map(str, batch.images.shape)) + " pixels at a time (images, colours, rows, columns)"
            bad += [error.path for error in batch.skipped]
            if len(batch.images):
                codes.append(encode(batch.images.to(device, non_blocking=True)))
                indices.append(batch.indices)
            done(len(batch.images) + len(batch.skipped))
        return Encoded(codes.all(), torch.cat(indices).numpy() if indices else np.empty(0, np.int64), bad)


def encode_pixels(model: IBC, images: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) uint8 pixels on the model's device -> (B, K) float32 codes in (0, 1), without gradient."""
    with torch.inference_mode():
        return model.encode(normalise(images)).float()
