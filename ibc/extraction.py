"""Images to codes: the shared-trunk hash branch alone, batch by batch, in list order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from ibc.config import Config
from ibc.data.dataset import Batch
from ibc.data.list_file import ImageList
from ibc.data.loader import encoding_batches
from ibc.network import IBC
from ibc.normalise import normalisation_constants, normalise
from ibc.processes import gather, gather_rows, is_main, rank, world_size
from ibc.progress import Progress

COMING = 4  # batches whose codes may be on their way from the GPU


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

    On a GPU the model's weights are left channels last, which changes no value.
    ``done`` hears of each batch's size. The copy of a batch's codes back to the host overlaps the next batches.
    """
    codes = _HostCodes(count, model.grm.shape[1])
    indices: list[torch.Tensor] = []
    bad: list[str] = []
    if device.type == "cuda":
        model.to(memory_format=torch.channels_last)  # else cuDNN brings the weights into this order for every batch
    with _stream_beside_decoders(device):
        encode = _Encoder(model, device)
        for batch in batches:
            bad += batch.bad
            if len(batch.images):
                codes.append(encode(batch.images.to(device, non_blocking=True)))
                indices.append(batch.indices)
            done(len(batch.images) + len(batch.bad))
        return Encoded(codes.all(), torch.cat(indices).numpy() if indices else np.empty(0, np.int64), bad)


@contextmanager
def _stream_beside_decoders(device: torch.device) -> Iterator[None]:
    """On a GPU a stream whose hardware queues the JPEG decoders' many streams, of normal priority, do not use."""
    if device.type != "cuda":
        yield
        return
    stream = torch.cuda.Stream(device, priority=-1)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream(device).wait_stream(stream)


def encode_pixels(model: IBC, images: torch.Tensor,
                  known: tuple[torch.Tensor, torch.Tensor] | None = None) -> torch.Tensor:
    """(B, 3, H, W) uint8 pixels on the model's device -> (B, K) float32 codes in (0, 1), without gradient.

    ``known``: as for ``normalise``.
    """
    with torch.inference_mode():
        return model.encode(normalise(images, known).contiguous(memory_format=torch.channels_last)).float()


class _Encoder:
    """``encode_pixels``, batch after batch. On a GPU the second batch of a size is recorded as a CUDA graph.

    Launching its kernels one by one is slow beside the decoding threads that launch theirs.
    """

    def __init__(self, model: IBC, device: torch.device):
        self.model, self.known = model, normalisation_constants(device)
        self.before = torch.Size()  # of the batch before
        self.graph: torch.cuda.CUDAGraph | None = None
        self.images = self.codes = torch.empty(0)  # what the graph reads and writes

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) uint8 -> (B, K) codes, which the next call on this stream may overwrite."""
        if self.graph is None and images.is_cuda and images.shape == self.before:
            self._record(images)
        self.before = images.shape
        if self.graph is None or images.shape != self.images.shape:
            return encode_pixels(self.model, images, self.known)
        self.images.copy_(images)
        self.graph.replay()
        return self.codes

    def _record(self, images: torch.Tensor) -> None:
        self.images, self.graph = images.clone(), torch.cuda.CUDAGraph()
        # Not by torch.cuda.graph, which first waits for the device and gives back all memory that decoders are using
        # over and over. thread_local: they may go on allocating meanwhile.
        self.graph.capture_begin(capture_error_mode="thread_local")
        try:
            self.codes = encode_pixels(self.model, self.images, self.known)
        finally:
            self.graph.capture_end()


class _HostCodes:
    """Codes in main memory, copied there batch by batch; from a GPU without waiting for it."""

    def __init__(self, count: int, bits: int):
        self.codes = np.empty((count, bits), np.float32)
        self.filled = 0
        self.coming: deque[tuple[torch.Tensor, torch.cuda.Event]] = deque()

    def append(self, codes: torch.Tensor) -> None:
        if not codes.is_cuda:
            self._put(codes)
            return
        copy = codes.to("cpu", non_blocking=True)  # into pinned memory that torch reuses once it is free again
        self.coming.append((copy, torch.cuda.current_stream(codes.device).record_event()))
        if len(self.coming) > COMING:
            self._settle()

    def _settle(self) -> None:
        copy, there = self.coming.popleft()
        there.synchronize()
        self._put(copy)

    def _put(self, codes: torch.Tensor) -> None:
        self.codes[self.filled : self.filled + len(codes)] = codes.numpy()
        self.filled += len(codes)

    def all(self) -> np.ndarray:
        """(n, bits) float32, of all batches."""
        while self.coming:
            self._settle()
        return self.codes[: self.filled]
