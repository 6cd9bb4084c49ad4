"""What threads that make batches on a GPU work with: a CUDA stream and a decoder each, which outlast a loader."""

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
    """What one decoding thread works with; (None, None) where nvJPEG does not."""

    stream: torch.cuda.Stream | None
    decoder: nvjpeg.BatchDecoder | None


@contextmanager
def decode_streams(device: torch.device, count: int) -> Iterator[SimpleQueue[DecodeStream]]:
    """Up to ``count`` streams on ``device``. They go on to the next loader: streams and decoders keep memory.

    The first is there at once. The others come while it works: making a decoder takes a quarter of a second.
    """
    with _idle_lock:
        taken = [_idle[device].pop() for _ in range(min(count, len(_idle[device])))]
    if not taken:
        taken = [new_decode_stream(device)]
    free: SimpleQueue[DecodeStream] = SimpleQueue()
    for stream in taken:
        free.put(stream)

    def make_others() -> None:
        with suppress(nvjpeg.NvjpegError):  # no memory for another one
            for _ in range(count - len(taken)):
                free.put(new_decode_stream(device))

    others = threading.Thread(target=make_others, name="makes decoders")
    others.start()
    try:
        yield free
    finally:
        others.join()
        ended = [free.get() for _ in range(free.qsize())]
        for stream in ended:  # what it still reads, of a cache above all, may go then
            if stream.stream is not None:
                stream.stream.synchronize()
        with _idle_lock:
            _idle[device] += ended


def new_decode_stream(device: torch.device) -> DecodeStream:
    """Raises NvjpegError where memory for another decoder is wanting."""
    if device.type != "cuda":
        return DecodeStream(None, None)
    stream = torch.cuda.Stream(device, priority=-1)  # its kernels are small: the update's let them through
    with torch.cuda.stream(stream):
        return DecodeStream(stream, nvjpeg.BatchDecoder(device) if decodes(device) else None)


@lru_cache
def decodes(device: torch.device) -> bool:
    """Whether nvJPEG decodes on ``device``. The stream made to find out serves the first loader."""
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
