"""Batches made on the GPU: threads read JPEG files ahead, nvJPEG decodes, one crop a batch.

Decoding threads have CUDA streams of their own, so they overlap the update that consumes an earlier batch.
Decoded images can stay in memory (``cache``), so that only the first epoch decodes. What nvJPEG
does not take (PNG, CMYK, broken files) goes the CPU's way, with its messages.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ibc.data.augment import crop_place, draws
from ibc.data.dataset import Batch, Key, Pixels
from ibc.data.decode import decode_image, is_whole_jpeg, shorter_side
from ibc.data.list_file import ImageList
from ibc.data.packed import read_bytes
from ibc.errors import InputError

READERS = 2      # threads that read files, a batch each; more only contend for the interpreter
READ_AHEAD = 8   # batches whose files are being read
DECODERS = 2     # threads that decode: nvJPEG serves one at a time, the other one meanwhile cuts its batch
DECODED = 4      # batches being decoded, or waiting for the update
MEMORY_SHARE = 0.8  # part of the free device memory that the cache may take


class GpuLoader:
    """Decodes, crops and flips the images of a list on ``device``.

    ``cache``: ``off``; ``device`` or ``host``: decoded images stay there as far as they fit.
    """

    def __init__(self, images: ImageList, pixels: Pixels, device: torch.device, *, seed: int, skip_bad: bool,
                 cache: str = "off"):
        self.images, self.pixels, self.device = images, pixels, device
        self.seed, self.skip_bad = seed, skip_bad
        self.home = torch.device("cpu") if cache == "host" else device  # where decoded images are kept
        self.cache: dict[int, Tensor] = {}
        self.room = 0  # bytes that the cache may still take
        self.keeping = threading.Lock()
        if cache == "device":
            self.room = int(torch.cuda.mem_get_info(device)[0] * MEMORY_SHARE)
        elif cache == "host":
            self.room = host_memory_free() // 2
        self.labels = torch.from_numpy(images.labels)

    def batches(self, order: Iterable[list[Key]]) -> Iterator[Batch]:
        """The batches of ``order``, images on the device, read and decoded ahead."""
        keys = iter(order)
        reading: deque[tuple[list[Key], Future]] = deque()
        made: deque[Future] = deque()
        with (ThreadPoolExecutor(READERS) as readers,
              ThreadPoolExecutor(DECODERS, initializer=self._own_stream) as makers):
            try:
                while True:
                    for later in islice(keys, READ_AHEAD + DECODED - len(reading) - len(made)):
                        reading.append((later, self._read(readers, later)))
                    while reading and len(made) < DECODED:
                        made.append(makers.submit(self._make_ahead, *reading.popleft()))
                    if not made:
                        return
                    batch, event = made.popleft().result()
                    if event is not None:
                        stream = torch.cuda.current_stream(self.device)
                        stream.wait_event(event)
                        batch.images.record_stream(stream)
                    yield batch
            finally:
                for waiting in made:
                    waiting.cancel()
                for _, waiting in reading:
                    waiting.cancel()

    def _own_stream(self) -> None:
        """A decoding thread begins: what it asks of the device overlaps the update."""
        if self.device.type == "cuda":
            torch.cuda.set_stream(torch.cuda.Stream(self.device))

    def _make_ahead(self, keys: list[Key], files: Future) -> tuple[Batch, torch.cuda.Event | None]:
        """A batch, and when it is there."""
        batch = self.make(keys, files)
        if self.device.type != "cuda":
            return batch, None
        event = torch.cuda.Event()
        event.record()
        return batch, event

    def _read(self, readers: ThreadPoolExecutor, keys: list[Key]) -> Future:
        """Start reading the files of a batch that are not in the cache."""
        return readers.submit(read_files, [(index, self.images.files[index]) for _, index in keys
                                           if index not in self.cache])

    def make(self, keys: list[Key], files: Future) -> Batch:
        """One batch; ``files``: what ``read_files`` gives for those of its images that are not in the cache."""
        data = dict(files.result())
        bad: list[str] = []
        fresh = self._decode({index: content for index, content in data.items() if index not in self.cache}, bad)
        pictures: list[Tensor] = []
        kept: list[int] = []
        for _, index in keys:
            picture = fresh[index] if index in fresh else self.cache.get(index)
            if picture is None and self.pixels.train:
                index, picture = self._next_readable(index, bad)
            if picture is not None:
                pictures.append(picture)
                kept.append(index)
        self._keep(fresh)
        indices = torch.tensor(kept, dtype=torch.int64)
        height, width = self.pixels.crop
        if not pictures:
            return Batch(torch.empty(0, 3, height, width, dtype=torch.uint8, device=self.device),
                         self.labels[indices], indices, bad, "")
        table = draws(self.seed, keys[0][0], [index for _, index in keys]) if self.pixels.train else None
        return Batch(self._crop(self._resize(pictures), table), self.labels[indices], indices, bad, "")

    def _decode(self, data: dict[int, Tensor | InputError], bad: list[str]) -> dict[int, Tensor]:
        """Index to (3, H, W) uint8. Unreadable images go to ``bad`` with skip_bad, else raise InputError."""
        from torchvision.io import ImageReadMode, decode_jpeg

        jpegs = {index: content for index, content in data.items()
                 if not isinstance(content, InputError) and is_whole_jpeg(content.numpy())}
        decoded: dict[int, Tensor] = {}
        try:
            if jpegs:
                tensors = decode_jpeg(list(jpegs.values()), mode=ImageReadMode.RGB, device=self.device)
                decoded = dict(zip(jpegs, tensors, strict=True))
        except RuntimeError as error:
            if "out of memory" in str(error):
                raise
            decoded = {}  # one of them is no JPEG for nvJPEG: take the whole batch the CPU's way
        for index, content in data.items():
            if index not in decoded:
                try:
                    if isinstance(content, InputError):
                        raise content
                    picture = decode_image(content.numpy().tobytes(), name=self.images.files[index])
                    decoded[index] = picture.to(self.device)
                except InputError:
                    if not self.skip_bad:
                        raise
                    bad.append(self.images.files[index])
        return {index: decoded[index].to(self.home) for index in data if index in decoded}

    def _next_readable(self, index: int, bad: list[str]) -> tuple[int, Tensor]:
        """The next image of the list that can be read, in place of an unreadable one."""
        for step in range(1, len(self.images)):
            candidate = (index + step) % len(self.images)
            if candidate in self.cache:
                return candidate, self.cache[candidate]
            found = self._decode(dict(read_files([(candidate, self.images.files[candidate])])), bad)
            if found:
                return candidate, found[candidate]
        raise InputError(f"{self.images.files[index]}: no image of the list can be read")

    def _keep(self, fresh: dict[int, Tensor]) -> None:
        if not self.room:
            return
        with self.keeping:
            for index, picture in fresh.items():
                if self.room >= picture.nbytes and index not in self.cache:
                    self.room -= picture.nbytes
                    self.cache[index] = picture

    def _resize(self, pictures: list[Tensor]) -> list[Tensor]:
        """Bring those that need it to the shorter side ``size``; equal shapes together."""
        groups: dict[torch.Size, list[int]] = defaultdict(list)
        for place, picture in enumerate(pictures):
            if self.pixels.resizes(picture):
                groups[picture.shape].append(place)
        for shape, places in groups.items():
            stack = torch.stack([pictures[place] for place in places]).to(self.device).float()
            target = shorter_side(shape[-2], shape[-1], self.pixels.size)
            resized = F.interpolate(stack, target, mode="bilinear", antialias=True).round_().clamp_(0, 255).byte()
            for place, picture in zip(places, resized, strict=True):
                pictures[place] = picture
        return pictures

    def _crop(self, pictures: list[Tensor], table: np.ndarray | None) -> Tensor:
        """(n, 3, h, w) uint8 on the device: cut every picture, then mirror those that are to be mirrored."""
        places = [crop_place(picture, self.pixels.crop, None if table is None else table[number])
                  for number, picture in enumerate(pictures)]
        if len({(picture.shape, picture.device) for picture in pictures}) == 1 and self.home == self.device:
            return cut_all(torch.stack(pictures), places, self.pixels.crop)
        height, width = self.pixels.crop
        if len({picture.device for picture in pictures}) > 1:  # resized ones are on the device already
            pictures = [picture.to(self.device) for picture in pictures]
        device = pictures[0].device
        pinned = self.device.type == "cuda" and device.type == "cpu"  # it reaches the GPU without waiting
        cut = torch.empty(len(pictures), 3, height, width, dtype=torch.uint8, device=device, pin_memory=pinned)
        torch.stack([picture[:, top : top + height, left : left + width]
                     for picture, (top, left, _) in zip(pictures, places, strict=True)], out=cut)
        cut = cut.to(self.device, non_blocking=True)
        if table is None:
            return cut
        mirrored = torch.tensor([mirror for _, _, mirror in places]).to(self.device, non_blocking=True)
        return torch.where(mirrored[:, None, None, None], cut.flip(-1), cut)


def cut_all(stack: Tensor, places: list[tuple[int, int, bool]], crop: tuple[int, int]) -> Tensor:
    """(n, 3, H, W) -> (n, 3, h, w), channels last: of every picture the crop at its (top, left, mirror).

    One gather instead of a slice a picture, which the interpreter would spend milliseconds on.
    """
    height, width = crop
    table = torch.tensor([(top, left, mirror) for top, left, mirror in places]).to(stack.device, non_blocking=True)
    top, left, mirror = table[:, 0, None], table[:, 1, None], table[:, 2, None] > 0
    across = torch.arange(width, device=stack.device)
    rows = top + torch.arange(height, device=stack.device)
    columns = left + torch.where(mirror, width - 1 - across, across)
    numbers = torch.arange(len(stack), device=stack.device)
    return stack[numbers[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def read_files(files: list[tuple[int, str]]) -> list[tuple[int, Tensor | InputError]]:
    """(index, content as (n,) uint8) of each file or ``pack.zip:member``."""
    return [(index, _content(path)) for index, path in files]


def _content(path: str) -> Tensor | InputError:
    try:
        data = bytearray(read_bytes(path))  # a copy that a tensor may own
    except OSError as error:
        return InputError(f"{path}: {error.strerror}")
    except InputError as error:
        return error
    return torch.frombuffer(data, dtype=torch.uint8) if data else InputError(f"{path}: an empty file")


@lru_cache
def nvjpeg_works(device: torch.device) -> bool:
    """Whether torchvision can decode a JPEG on ``device``."""
    from torchvision.io import decode_jpeg, encode_jpeg

    try:
        decode_jpeg(encode_jpeg(torch.zeros(3, 16, 16, dtype=torch.uint8)), device=device)
    except RuntimeError:
        return False
    return True


def host_memory_free() -> int:
    """Bytes of main memory that can be taken without swapping (Linux)."""
    with open("/proc/meminfo", encoding="ascii") as handle:
        return next(int(line.split()[1]) * 1024 for line in handle if line.startswith("MemAvailable"))
