"""Batches made on the GPU: worker processes read JPEG files ahead, nvJPEG decodes, one crop a batch.

Decoding threads have CUDA streams of their own, so they overlap the update that consumes an earlier batch.
Decoded images can stay in memory (``cache``), so that only the first epoch decodes. What nvJPEG does not
decode in a batch (progressive and CMYK JPEGs, PNGs, broken files) goes the CPU's way, with its messages.
"""

from __future__ import annotations

import threading
import warnings
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, cycle, islice
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ibc.cores import cores_here, processes_here
from ibc.data.augment import crop_places, draws
from ibc.data.dataset import Batch, ImageTransform, Key
from ibc.data.decode import decode_image, shorter_side
from ibc.data.gpu import nvjpeg
from ibc.data.gpu.crop import crop_stack, kernel_available
from ibc.data.gpu.decode_streams import DecodeStream, decode_streams
from ibc.data.gpu.file_batch import FileBatch, FileBatchReader
from ibc.data.gpu.file_readers import FileReaders
from ibc.data.list_file import ImageList
from ibc.errors import InputError

# Threads that decode. With a fourth, nvJPEG's streams and two processes' updates wait for each other; an encoder
# leaves the device more room.
TRAINING_STREAMS, TESTING_STREAMS = 3, 4
# Batches made beyond those that are being made, and batches that the consumer may have asked the device to use
# before it has done so; as many more as READY_BYTES hold.
READY = 4
READY_BYTES = 512 << 20
PORTION = 16 << 20  # bytes of files decoded together, and of pixels enlarged together: photographs fit the memory too
MEMORY_SHARE = 0.8  # part of the free device memory that the cache may take

Made = tuple[Batch, torch.cuda.Event | None]  # on a GPU, the event after which the batch's images are there


class GpuLoader:
    """Decodes, crops and flips the images of a list on ``device``; ``readers`` processes read the files.

    ``cache``: ``off``; ``device`` or ``host``: decoded images stay there as far as they fit.
    """

    def __init__(self, images: ImageList, pixels: ImageTransform, device: torch.device, *, seed: int, skip_bad: bool,
                 cache: str = "off", readers: int = 0):
        self.images, self.pixels, self.device = images, pixels, device
        self.seed, self.skip_bad, self.readers = seed, skip_bad, readers
        most = TRAINING_STREAMS if pixels.train else TESTING_STREAMS
        self.streams = max(1, min(most, cores_here() // 4))  # decoding keeps a core busy, though the GPU does it
        self.home = torch.device("cpu") if cache == "host" else device  # where decoded images are kept
        self.cache: dict[int, Tensor] = {}
        self.room = 0  # bytes that the cache may still take
        self.keeping = threading.Lock()
        if cache == "device":
            self.room = int(torch.cuda.mem_get_info(device)[0] * MEMORY_SHARE)
        elif cache == "host":
            self.room = host_memory_free() // 2 // processes_here()
        kernel_available()  # tried here, not in several threads
        self.labels = torch.from_numpy(images.labels)
        self.reader = FileBatchReader(images.files)  # for what the processes leave to this one

    def batches(self, order: Iterable[list[Key]]) -> Iterator[Batch]:
        """The batches of ``order``, images on the device, read and decoded ahead."""
        every = iter(order)
        first = next(every, None)
        if first is None:
            return
        ready = max(READY, READY_BYTES // (3 * len(first) * self.pixels.crop[0] * self.pixels.crop[1]))
        ahead = self.streams + ready
        made: deque[Future[Made]] = deque()
        in_use: deque[torch.cuda.Event] = deque()
        with FileReaders(self.images.files, self.readers, slots=ahead, batch_size=len(first)) as readers, \
                decode_streams(self.device, self.streams) as free:
            makers = ThreadPoolExecutor(self.readers + self.streams)
            jobs = (makers.submit(self._make_ahead, readers, slot, free, keys)
                    for slot, keys in zip(cycle(range(ahead)), chain([first], every), strict=False))
            try:
                while True:
                    made.extend(islice(jobs, ahead - len(made)))
                    if not made:
                        return
                    batch, there = made.popleft().result()
                    if there is not None:  # made on another stream, in memory of that stream
                        torch.cuda.current_stream(self.device).wait_event(there)
                        batch.images.record_stream(torch.cuda.current_stream(self.device))
                    yield batch
                    if there is not None:
                        in_use.append(torch.cuda.current_stream(self.device).record_event())
                        del batch
                        if len(in_use) > ready:
                            in_use.popleft().synchronize()
            finally:
                makers.shutdown(cancel_futures=True)

    def _make_ahead(self, readers: FileReaders, slot: int, free: SimpleQueue[DecodeStream], keys: list[Key]) -> Made:
        """A batch, its files read into ``slot``. Its stream serves the next one without waiting for the device."""
        contents = readers.read(slot, [index for _, index in keys if index not in self.cache])
        stream = free.get()
        try:
            with torch.cuda.stream(stream.stream):
                batch = self.make(keys, contents, stream.decoder)
                return batch, None if stream.stream is None else stream.stream.record_event()
        finally:
            free.put(stream)

    def make(self, keys: list[Key], contents: FileBatch, decoder: nvjpeg.BatchDecoder | None = None) -> Batch:
        """One batch; ``contents``: those of its files whose images are not in the cache."""
        bad: list[str] = []
        asked = [index for _, index in keys]
        pictures: Tensor | list[Tensor] | None = self._all_alike(asked, contents, decoder)
        kept = asked
        if pictures is None:
            pictures, kept = self._one_by_one(asked, contents, decoder, bad)
        indices = torch.tensor(kept, dtype=torch.int64)
        height, width = self.pixels.crop
        if not len(pictures):
            return Batch(torch.empty(0, 3, height, width, dtype=torch.uint8, device=self.device),
                         self.labels[indices], indices, bad, "")
        table = draws(self.seed, keys[0][0], asked) if self.pixels.train else None
        return Batch(self._crop(pictures, table), self.labels[indices], indices, bad, "")

    def _all_alike(self, asked: list[int], contents: FileBatch, decoder: nvjpeg.BatchDecoder | None) -> Tensor | None:
        """(n, 3, H, W): the images ``asked`` for, where the decoder takes all of them, of one size, and none is kept.

        The usual case; without a step an image, for which this thread would hold up the others.
        """
        sizes = contents.sizes
        if (decoder is None or self.home != self.device or self.room or self.cache or contents.indices != asked
                or not sizes[0].all() or (sizes != sizes[0]).any()):
            return None
        stacks = []
        for places in portions(contents):
            begins, ends = contents.starts[places], contents.starts[places + 1]
            try:
                stack = decoder.decode(contents.data, begins, ends - begins, sizes[places])
            except nvjpeg.NvjpegError:
                return None  # one by one
            assert isinstance(stack, Tensor)
            stacks.append(self._resized(stack) if self.pixels.resizes(stack[0]) else stack)
        return torch.cat(stacks) if len(stacks) > 1 else stacks[0]

    def _one_by_one(self, asked: list[int], contents: FileBatch, decoder: nvjpeg.BatchDecoder | None,
                    bad: list[str]) -> tuple[list[Tensor], list[int]]:
        """The pictures ``asked`` for, or those in place of unreadable ones, and their indices."""
        fresh = self._pictures(contents, decoder, bad)
        pictures: list[Tensor] = []
        kept: list[int] = []
        for index in asked:
            picture = fresh[index] if index in fresh else self.cache.get(index)
            if picture is None and self.pixels.train:
                index, picture = self._next_readable(index, decoder, bad)
            if picture is not None:
                pictures.append(picture)
                kept.append(index)
        self._keep(fresh)
        return pictures, kept

    def _pictures(self, contents: FileBatch, decoder: nvjpeg.BatchDecoder | None, bad: list[str]) -> dict[int, Tensor]:
        """Index to (3, H, W) uint8 of the size that is cropped, where decoded images are kept.

        Unreadable ones go to ``bad`` with skip_bad, else raise InputError.
        """
        pictures = self._pictures_read(contents, decoder, bad)
        while contents.left:  # large files: never more of them in memory than a portion
            contents = self.reader.read(contents.left, PORTION)
            pictures |= self._pictures_read(contents, decoder, bad)
        return pictures

    def _pictures_read(self, contents: FileBatch, decoder: nvjpeg.BatchDecoder | None,
                       bad: list[str]) -> dict[int, Tensor]:
        pictures: dict[int, Tensor] = {}
        for places in portions(contents):
            decoded = self._decode_together(contents, places, decoder)
            for place in places.tolist():
                index = contents.indices[place]
                if index not in decoded:
                    with self._skipping(index, bad):
                        picture = decode_image(contents.file(place), name=self.images.files[index])
                        decoded[index] = picture.to(self.device)
            self._resize(decoded)
            pictures |= decoded if self.home == self.device else {
                index: picture.to(self.home) for index, picture in decoded.items()}
        for index, error in contents.errors.items():
            with self._skipping(index, bad):
                raise error
        return pictures

    def _decode_together(self, contents: FileBatch, places: np.ndarray,
                         decoder: nvjpeg.BatchDecoder | None) -> dict[int, Tensor]:
        """Index to picture, of those that the decoder takes."""
        places = places[contents.sizes[places].all(axis=1)]
        if decoder is None:
            return {}
        begins, ends = contents.starts[places], contents.starts[places + 1]
        try:
            decoded = decoder.decode(contents.data, begins, ends - begins, contents.sizes[places])
        except nvjpeg.NvjpegError as error:  # one of them is broken: each is looked at on the CPU
            warnings.warn(f"{error}: decoding this batch on the CPU", stacklevel=2)
            return {}
        return dict(zip([contents.indices[place] for place in places], decoded, strict=True))

    @contextmanager
    def _skipping(self, index: int, bad: list[str]) -> Iterator[None]:
        """With skip_bad, an unreadable image is noted instead of raised."""
        try:
            yield
        except InputError:
            if not self.skip_bad:
                raise
            bad.append(self.images.files[index])

    def _next_readable(self, index: int, decoder: nvjpeg.BatchDecoder | None, bad: list[str]) -> tuple[int, Tensor]:
        """The next image of the list that can be read, in place of an unreadable one."""
        for step in range(1, len(self.images)):
            candidate = (index + step) % len(self.images)
            if candidate in self.cache:
                return candidate, self.cache[candidate]
            found = self._pictures(self.reader.read([candidate], PORTION), decoder, bad)
            if found:
                return candidate, found[candidate]
        raise InputError(f"{self.images.files[index]}: no image of the list can be read")

    def _keep(self, fresh: dict[int, Tensor]) -> None:
        if not self.room:
            return
        if self.device.type == "cuda":  # other threads use them on other streams
            torch.cuda.current_stream(self.device).synchronize()
        with self.keeping:
            for index, picture in fresh.items():
                if self.room >= picture.nbytes and index not in self.cache:
                    self.room -= picture.nbytes
                    self.cache[index] = picture

    def _resize(self, pictures: dict[int, Tensor]) -> None:
        """In place: bring those that need it to the shorter side ``size``; equal shapes together."""
        groups: dict[torch.Size, list[int]] = defaultdict(list)
        for index, picture in pictures.items():
            if self.pixels.resizes(picture):
                groups[picture.shape].append(index)
        for members in groups.values():
            pictures.update(zip(members, self._resized([pictures[index] for index in members]), strict=True))

    def _resized(self, alike: Tensor | list[Tensor]) -> Tensor:
        """(n, 3, H, W) of n pictures of one size, brought to the shorter side ``size``."""
        height, width = alike[0].shape[-2:]
        target = shorter_side(height, width, self.pixels.size)
        together = max(1, PORTION // max(alike[0].numel(), 3 * target[0] * target[1]))
        parts = []
        for first in range(0, len(alike), together):
            some = alike[first : first + together]
            pixels = (some if isinstance(some, Tensor) else torch.stack(some)).float()
            resized = F.interpolate(pixels, target, mode="bilinear", antialias=True)
            parts.append(resized.round_().clamp_(0, 255).byte())
        return torch.cat(parts)

    def _crop(self, pictures: Tensor | list[Tensor], table: np.ndarray | None) -> Tensor:
        """(n, 3, h, w) uint8 on the device: cut every picture, then mirror those that are to be mirrored."""
        height, width = self.pixels.crop
        if isinstance(pictures, Tensor):
            sizes = np.tile(pictures.shape[-2:], (len(pictures), 1))
        else:
            sizes = np.array([picture.shape[-2:] for picture in pictures])
        places = crop_places(sizes, self.pixels.crop, table)
        if (sizes == sizes[0]).all() and self.home == self.device:
            stack = pictures if isinstance(pictures, Tensor) else torch.stack(pictures)
            return crop_stack(stack, places, self.pixels.crop)
        pinned = self.device.type == "cuda" and self.home.type == "cpu"  # it reaches the GPU without waiting
        cut = torch.empty(len(pictures), 3, height, width, dtype=torch.uint8, device=self.home, pin_memory=pinned)
        torch.stack([picture[:, top : top + height, left : left + width]
                     for picture, (top, left, _) in zip(pictures, places.tolist(), strict=True)], out=cut)
        cut = cut.to(self.device, non_blocking=True)
        if table is None:
            return cut
        mirrored = torch.from_numpy(places[:, 2] > 0).to(self.device, non_blocking=True)
        return torch.where(mirrored[:, None, None, None], cut.flip(-1), cut)


def portions(contents: FileBatch) -> list[np.ndarray]:
    """Places of ``contents.indices``, in parts of about ``PORTION`` bytes, of as many files each.

    The decoder has to be prepared anew for another number of files.
    """
    count = len(contents.indices)
    return np.array_split(np.arange(count), -(-int(contents.starts[-1]) // PORTION)) if count else []


def host_memory_free() -> int:
    """Bytes of main memory that can be taken without swapping, or without passing a container's limit (Linux)."""
    with open("/proc/meminfo", encoding="ascii") as handle:
        free = next(int(line.split()[1]) * 1024 for line in handle if line.startswith("MemAvailable"))
    try:
        limit, used = (Path("/sys/fs/cgroup", name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return free
    return free if limit == "max" else max(0, min(free, int(limit) - int(used)))
