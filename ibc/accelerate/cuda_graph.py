"""An update recorded once as a CUDA graph and replayed on new inputs: no gaps between the launches of its kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ibc.batch_labels import HalfLabels
from ibc.processes import keep_until_end
from ibc.update import Update

WARM_UP = 3  # ordinary updates before one is recorded


class RecordedUpdate(Update):
    """``inner``, recorded after some ordinary updates, and anew whenever a learning rate changes.

    Everything runs on one stream from the start: autograd's nodes remember the stream that they were made on. While
    an update is recorded, no other autograd graph of the same parameters may live: the recording would draw it in.
    """

    def __init__(self, inner: Update):
        super().__init__(inner.model, inner.optimizer, inner.config)
        self.inner = inner
        self.device = inner.model.GRM.device
        self.stream = torch.cuda.Stream(self.device)
        self.ordinary = 0  # updates made without a recording
        self.rates: list[float] = []
        self.recording: _Recording | None = None
        for group in self.optimizer.param_groups:
            group["capturable"] = True

    def __call__(self, images: Tensor, plain: HalfLabels, masked: HalfLabels) -> dict[str, Tensor]:
        """One update, replayed where that is possible; a batch without any label is not."""
        with self._own_stream():
            if self.ordinary < WARM_UP or plain.count + masked.count == 0:
                self.ordinary += 1
                return self.inner(images, plain, masked)
            rates = [group["lr"] for group in self.optimizer.param_groups]
            if self.recording is None or self.rates != rates:
                self.recording, self.rates = None, rates
                self.recording = _Recording(self.inner, images.to(self.device, non_blocking=True), plain, masked)
            return self.recording(images, plain, masked)

    def gather(self) -> None:
        """Bring all weights to where they are read."""
        with self._own_stream():
            self.inner.gather()

    @contextmanager
    def _own_stream(self) -> Iterator[None]:
        """The stream of the updates: after all work asked of the device before, and before all that follows."""
        outer = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(outer)
        with torch.cuda.stream(self.stream):
            yield
        outer.wait_stream(self.stream)


class _Recording:
    """One update as a CUDA graph, which reads its inputs from tensors of its own."""

    def __init__(self, update: Update, images: Tensor, plain: HalfLabels, masked: HalfLabels):
        dtype = update.model.GRM.dtype
        self.images = images.contiguous(memory_format=torch.channels_last).clone()
        self.plain, self.masked = plain.to(images.device, dtype), masked.to(images.device, dtype)
        self.graph = torch.cuda.CUDAGraph()
        keep_until_end(self.graph)
        # thread_local: the thread that decodes the next images may go on allocating meanwhile.
        with torch.cuda.graph(self.graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
            losses = update(self.images, self.plain, self.masked)
            self.names, self.values = tuple(losses), torch.stack(list(losses.values()))

    def __call__(self, images: Tensor, plain: HalfLabels, masked: HalfLabels) -> dict[str, Tensor]:
        self.images.copy_(images, non_blocking=True)
        self.plain.copy_(plain)
        self.masked.copy_(masked)
        self.graph.replay()
        values = self.values.clone()  # the next replay overwrites them
        return dict(zip(self.names, values.unbind(), strict=True))
