"""An update recorded once as a CUDA graph and replayed on new inputs: no gaps between the launches of its kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ibc.objectives.objective import BatchLabels
from ibc.processes import keep_until_end
from ibc.schedule import moves
from ibc.update import Update

WARM_UP = 3  # ordinary updates before one is recorded


class RecordedUpdate(Update):
    """``inner``, recorded after some ordinary updates.

    A schedule whose rates seldom change is recorded anew when they do. One that moves all the time keeps its rates in
    tensors that the recording reads.

    Everything runs on one stream from the start: autograd's nodes remember the stream that they were made on. While
    an update is recorded, no other autograd graph of the same parameters may live: the recording would draw it in.
    """

    def __init__(self, inner: Update):
        super().__init__(inner.model, inner.objective, inner.optimizer, inner.config)
        self.inner = inner
        self.device = inner.model.GRM.device
        self.stream = torch.cuda.Stream(self.device)
        self.ordinary = 0  # updates made without a recording
        self.rates: list[float] = []
        self.recording: _Recording | None = None
        for group in self.optimizer.param_groups:
            group["capturable"] = True

    def __call__(self, images: Tensor, labels: BatchLabels, done: Tensor) -> dict[str, Tensor]:
        """One update, replayed where that is possible; a batch without any label is not."""
        with self._own_stream():
            if self.ordinary < WARM_UP or not any(part.count for part in labels):
                self.ordinary += 1
                return self.inner(images, labels, done)
            rates = [group["lr"] for group in self.optimizer.param_groups]
            if self.recording is None or (self.rates != rates and not moves(self.config)):
                self.recording, self.rates = None, rates
                self.recording = _Recording(self.inner, images.to(self.device, non_blocking=True), labels)
            return self.recording(images, labels, done, rates)

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

    def __init__(self, update: Update, images: Tensor, labels: BatchLabels):
        dtype, device = update.model.GRM.dtype, images.device
        self.images = images.contiguous(memory_format=torch.channels_last).clone()
        self.labels = tuple(part.to(device, dtype) for part in labels)
        self.done = torch.zeros((), dtype=dtype, device=device)
        groups = update.optimizer.param_groups
        self.rates = [torch.zeros((), device=device) for _ in groups] if moves(update.config) else []
        self.graph = torch.cuda.CUDAGraph()
        keep_until_end(self.graph)
        numbers = [group["lr"] for group in groups]
        for group, rate in zip(groups, self.rates or numbers, strict=True):
            group["lr"] = rate
        # thread_local: the thread that decodes the next images may go on allocating meanwhile.
        with torch.cuda.graph(self.graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
            losses = update(self.images, self.labels, self.done)
            self.names, self.values = tuple(losses), torch.stack(list(losses.values()))
        for group, number in zip(groups, numbers, strict=True):
            group["lr"] = number

    def __call__(self, images: Tensor, labels: BatchLabels, done: Tensor, rates: list[float]) -> dict[str, Tensor]:
        self.images.copy_(images, non_blocking=True)
        for mine, given in zip(self.labels, labels, strict=True):
            mine.copy_(given)
        self.done.fill_(done)
        for read, rate in zip(self.rates, rates, strict=False):  # none where the rates are part of the recording
            read.fill_(rate)
        self.graph.replay()
        values = self.values.clone()  # the next replay overwrites them
        return dict(zip(self.names, values.unbind(), strict=True))
