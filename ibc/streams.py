"""CUDA streams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """On a GPU, work on another stream than CUDA's default one.

    That one waits for all that nvJPEG's streams were asked before, and they for it: pictures would be decoded
    between the steps of the network instead of meanwhile.
    """
    if device.type != "cuda":
        yield
        return
    outer, stream = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    stream.wait_stream(outer)
    with torch.cuda.stream(stream):
        yield
    outer.wait_stream(stream)
