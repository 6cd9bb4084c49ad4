"""Batches made on the GPU: processes read JPEG files ahead, threads decode them with nvJPEG and crop them.

Each decoding thread works on a CUDA stream of its own, so that it overlaps the update that uses an earlier batch.
What nvJPEG does not decode (progressive and CMYK JPEGs, PNGs, broken files) is decoded on the CPU.

    file_readers      files -> one piece of memory a batch (file_batch)
    decode_streams    a CUDA stream and a decoder (nvjpeg) for each thread
    batch_maker       a batch of files -> decode, resize, image_cache, crop -> a Batch on the device
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, cycle, islice
from queue import SimpleQueue

import torch

from ibc.cores import cores_here
from ibc.data.batch import Batch, Key
from ibc.data.gpu.batch_maker import BatchMaker
from ibc.data.gpu.crop import kernel_available
from ibc.data.gpu.decode_streams import DecodeStream, decode_streams
from ibc.data.gpu.file_readers import FileReaders
from ibc.data.gpu.image_cache import ImageCache
from ibc.data.list_file import ImageList
from ibc.data.transform import ImageTransform

# Threads that decode. With a fourth, nvJPEG's streams and the updates of two processes wait for each other. An encoder
# leaves the device more room.
TRAINING_STREAMS, ENCODING_STREAMS = 3, 4
# Batches made ahead of those that are being made; and batches whose use the consumer may have asked of the device
# before the device is done with it. For small batches it is more: as many as READY_BYTES hold.
READY = 4
READY_BYTES = 512 << 20

Made = tuple[Batch, torch.cuda.Event | None]  # on a GPU, the event after which the batch's images are there


class GpuLoader:
    """Reads, decodes, crops and mirrors the images of a list on ``device``.

    readers: processes that read the files; 0: the decoding threads read. cache: as for ``ImageCache``. skip_bad: as
    for ``ibc.data.batch.read_images``.
    """

    def __init__(self, images: ImageList, transform: ImageTransform, device: torch.device, *, seed: int, skip_bad: bool,
                 cache: str = "off", readers: int = 0):
        self._images, self._transform, self._device, self._readers = images, transform, device, readers
        self._cache = ImageCache(cache, device)
        kernel_available()  # tried here, in one thread
        self._maker = BatchMaker(images, transform, device, seed=seed, skip_bad=skip_bad, cache=self._cache)
        most = TRAINING_STREAMS if transform.train else ENCODING_STREAMS
        self._streams = max(1, min(most, cores_here() // 4))  # decoding keeps a core busy, though the GPU does it

    def batches(self, order: Iterable[list[Key]]) -> Iterator[Batch]:
        """The batches of ``order``, images on the device, read and decoded ahead. Raises InputError for the error of
        a batch."""
        every = iter(order)
        first = next(every, None)
        if first is None:
            return
        ready = max(READY, READY_BYTES // (3 * len(first) * self._transform.crop[0] * self._transform.crop[1]))
        ahead = self._streams + ready
        made: deque[Future[Made]] = deque()
        in_use: deque[torch.cuda.Event] = deque()
        with FileReaders(self._images.files, self._readers, slots=ahead, batch_size=len(first)) as readers, \
                decode_streams(self._device, self._streams) as free:
            makers = ThreadPoolExecutor(self._readers + self._streams)
            jobs = (makers.submit(self._make_ahead, readers, slot, free, keys)
                    for slot, keys in zip(cycle(range(ahead)), chain([first], every), strict=False))
            try:
                while True:
                    made.extend(islice(jobs, ahead - len(made)))
                    if not made:
                        return
                    batch, there = made.popleft().result()
                    batch.checked()
                    if there is not None:  # the images were made on another stream, in memory of that stream
                        torch.cuda.current_stream(self._device).wait_event(there)
                        batch.images.record_stream(torch.cuda.current_stream(self._device))
                    yield batch
                    if there is not None:
                        in_use.append(torch.cuda.current_stream(self._device).record_event())
                        del batch
                        if len(in_use) > ready:
                            in_use.popleft().synchronize()
            finally:
                makers.shutdown(cancel_futures=True)

    def _make_ahead(self, readers: FileReaders, slot: int, free: SimpleQueue[DecodeStream], keys: list[Key]) -> Made:
        """A batch, its files read into ``slot``. The stream serves the next batch without waiting for the device."""
        files = readers.read(slot, [index for _, index in keys if index not in self._cache])
        stream = free.get()
        try:
            with torch.cuda.stream(stream.cuda):
                batch = self._maker.make(keys, files, stream.decoder)
                return batch, None if stream.cuda is None else stream.cuda.record_event()
        finally:
            free.put(stream)
