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


class Lane(NamedTuple):
    """What one decoding thread works with; (None, None) where nvJPEG does not."""

    stream: torch.cuda.Stream | None
    decoder: nvjpeg.BatchDecoder | None


@contextmanager
def lanes(device: torch.device, count: int) -> Iterator[SimpleQueue[Lane]]:
    """Up to ``count`` lanes on ``device``. They go on to the next loader: streams and decoders keep memory.

    The first is there at once. The others come while it works: making a decoder takes a quarter of a second.
    """
    with _idle_lock:
        taken = [_idle[device].pop() for _ in range(min(count, len(_idle[device])))]
    if not taken:
        taken = [new_lane(device)]
    free: SimpleQueue[Lane] = SimpleQueue()
    for lane in taken:
        free.put(lane)

    def make_others() -> None:
        with suppress(nvjpeg.NvjpegError):  # no memory for another one
            for _ in range(count - len(taken)):
                free.put(new_lane(device))

    others = threading.Thread(target=make_others, name="makes decoders")
    others.start()
    try:
        yield free
    finally:
        others.join()
        ended = [free.get() for _ in range(free.qsize())]
        for lane in ended:  # what it still reads, of a cache above all, may go then
            if lane.stream is not None:
                lane.stream.synchronize()
        with _idle_lock:
            _idle[device] += ended


def new_lane(device: torch.device) -> Lane:
    """Raises NvjpegError where memory for another decoder is wanting."""
    if device.type != "cuda":
        return Lane(None, None)
    stream = torch.cuda.Stream(device, priority=-1)  # its kernels are small: the update's let them through
    with torch.cuda.stream(stream):
        return Lane(stream, nvjpeg.BatchDecoder(device) if decodes(device) else None)


@lru_cache
def decodes(device: torch.device) -> bool:
    """Whether nvJPEG decodes on ``device``. The lane made to find out serves the first loader."""
    if device.type != "cuda":
        return False
    try:
        lane = Lane(torch.cuda.Stream(device, priority=-1), nvjpeg.BatchDecoder(device))
    except nvjpeg.NvjpegError:
        return False
    with _idle_lock:
        _idle[device].append(lane)
    return True


_idle: dict[torch.device, list[Lane]] = defaultdict(list)
_idle_lock = threading.Lock()
