"""A CUDA stream and an nvJPEG decoder for each thread that makes batches. They outlast a loader."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from queue import SimpleQueue
from typing import NamedTuple

import torch

from ibc.data.gpu import nvjpeg


class DecodeStream(NamedTuple):
    """What one thread works with. cuda: its stream; None on a CPU. decoder: None where nvJPEG is not available."""

    cuda: torch.cuda.Stream | None
    decoder: nvjpeg.BatchDecoder | None


@contextmanager
def decode_streams(device: torch.device, count: int) -> Iterator[SimpleQueue[DecodeStream]]:
    """A queue of up to ``count`` streams on ``device``: take one, use it, put it back.

    All are made before the first is used, at a quarter of a second each: nvJPEG has been seen to fail in processes
    that made decoders while others decoded. Afterwards all are kept for the next loader: streams and decoders hold
    memory on the device.
    """
    with _idle_lock:
        taken = [_idle[device].pop() for _ in range(min(count, len(_idle[device])))]
    taken = taken or [new_decode_stream(device)]
    with suppress(nvjpeg.NvjpegError):  # no memory for another one: those that are there do
        while len(taken) < count:
            taken.append(new_decode_stream(device))
    free: SimpleQueue[DecodeStream] = SimpleQueue()
    for stream in taken:
        free.put(stream)
    try:
        yield free
    finally:
        ended = [free.get() for _ in range(free.qsize())]
        for stream in ended:  # afterwards the memory that it still reads, above all that of a cache, may be freed
            if stream.cuda is not None:
                stream.cuda.synchronize()
        with _idle_lock:
            _idle[device] += ended


def new_decode_stream(device: torch.device) -> DecodeStream:
    """A stream of high priority, with a decoder. Raises NvjpegError where there is no memory for another decoder."""
    if device.type != "cuda":
        return DecodeStream(None, None)
    stream = torch.cuda.Stream(device, priority=-1)  # its kernels are small: those of the update let them pass
    with torch.cuda.stream(stream):
        return DecodeStream(stream, nvjpeg.BatchDecoder(device) if nvjpeg_available(device) else None)


@lru_cache
def nvjpeg_available(device: torch.device) -> bool:
    """Whether nvJPEG decodes on ``device``. The stream made to find out is kept for the first loader."""
    if device.type != "cuda":
        return False
    try:
        stream = DecodeStream(torch.cuda.Stream(device, priority=-1), nvjpeg.BatchDecoder(device))
    except nvjpeg.NvjpegError:
        return False
    with _idle_lock:
        _idle[device].append(stream)
    return True


_idle: dict[torch.device, list[DecodeStream]] = defaultdict(list)
_idle_lock = threading.Lock()
