"""Images to codes, batch after batch: on a GPU recorded as a CUDA graph, copied back without waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from ibc.accelerate.trunk import for_inference
from ibc.network import IBC
from ibc.normalise import normalisation_constants, normalise

COMING = 4  # batches whose codes may be on their way from the GPU

Encode = Callable[[Tensor], Tensor]


@contextmanager
def encoder(model: IBC, device: torch.device) -> Iterator[Encode]:
    """A function from (B, 3, H, W) uint8 images on ``device`` to (B, K) float32 codes there, without gradient.

    The next call may overwrite the codes. model: on ``device``, in eval mode; on a GPU its weights are left channels
    last, which changes no value.
    """
    if device.type != "cuda":
        yield _Encoder(model, device)
        return
    model.to(memory_format=torch.channels_last)  # else cuDNN brings the weights into this order for every batch
    stream = torch.cuda.Stream(device, priority=-1)  # high priority: shares no hardware queue with the JPEG decoders
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        yield _RecordedEncoder(model, device)
    torch.cuda.current_stream(device).wait_stream(stream)


class _Encoder:
    """Normalisation and network, one batch at a time."""

    def __init__(self, model: IBC, device: torch.device):
        self.model = for_inference(model)
        self.constants = normalisation_constants(device)

    def __call__(self, images: Tensor) -> Tensor:
        with torch.inference_mode():
            pixels = normalise(images, self.constants).contiguous(memory_format=torch.channels_last)
            return self.model.encode(pixels).float()


class _RecordedEncoder(_Encoder):
    """The second batch of a size is recorded as a CUDA graph, which then encodes all batches of this size.

    Launching its kernels one by one is slow beside the decoding threads that launch theirs.
    """

    def __init__(self, model: IBC, device: torch.device):
        super().__init__(model, device)
        self.before = torch.Size()  # shape of the batch before
        self.graph: torch.cuda.CUDAGraph | None = None
        self.images = self.codes = torch.empty(0)  # what the graph reads and writes

    def __call__(self, images: Tensor) -> Tensor:
        if self.graph is None and images.shape == self.before:
            self._record(images)
        self.before = images.shape
        if self.graph is None or images.shape != self.images.shape:
            return super().__call__(images)
        self.images.copy_(images)
        self.graph.replay()
        return self.codes

    def _record(self, images: Tensor) -> None:
        self.images, self.graph = images.clone(), torch.cuda.CUDAGraph()
        # Not by torch.cuda.graph, which first waits for the device and frees memory that the decoders use again and
        # again. thread_local: they may go on allocating meanwhile.
        self.graph.capture_begin(capture_error_mode="thread_local")
        try:
            self.codes = super().__call__(self.images)
        finally:
            self.graph.capture_end()


class HostCodes:
    """Codes in main memory, copied there batch by batch; from a GPU without waiting for it.

    count: most rows. bits: columns.
    """

    def __init__(self, count: int, bits: int):
        self.codes = np.empty((count, bits), np.float32)
        self.filled = 0
        self.coming: deque[tuple[Tensor, torch.cuda.Event]] = deque()

    def append(self, codes: Tensor) -> None:
        """Add (n, bits) codes, on any device."""
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

    def _put(self, codes: Tensor) -> None:
        self.codes[self.filled : self.filled + len(codes)] = codes.numpy()
        self.filled += len(codes)

    def all(self) -> np.ndarray:
        """(n, bits) float32: the codes of all batches, in order."""
        while self.coming:
            self._settle()
        return self.codes[: self.filled]
