"""Image files of a batch to pixels on a device: by nvJPEG what it takes, on the CPU the rest."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ibc.data.decode import ImageError, try_to_decode
from ibc.data.gpu.file_batch import FileBatch
from ibc.data.gpu.nvjpeg import BatchDecoder, NvjpegError


def decode_files(batch: FileBatch, places: np.ndarray, decoder: BatchDecoder | None, files: Sequence[str],
                 device: torch.device) -> Tensor | list[Tensor | ImageError]:
    """Decode the files at some places of a batch, at least one, in the order of ``places``.

    decoder: nvJPEG's, which takes baseline JPEGs; None: everything is decoded on the CPU. files: paths by index in the
    list, for messages. Returns (n, 3, H, W) uint8 on ``device`` where nvJPEG decoded all of them and they are of one
    size; else (3, H, W) each, or the ImageError of one that cannot be decoded.
    """
    by_nvjpeg = batch.sizes[places].all(axis=1) if decoder is not None else np.zeros(len(places), bool)
    decoded: Tensor | list[Tensor] = []
    if decoder is not None and by_nvjpeg.any():
        chosen = places[by_nvjpeg]
        starts, ends = batch.starts[chosen], batch.starts[chosen + 1]
        try:
            decoded = decoder.decode(batch.data, starts, ends - starts, batch.sizes[chosen])
        except NvjpegError as error:  # a file is broken, and nvJPEG does not say which
            warnings.warn(f"{error}: decoding this batch on the CPU", stacklevel=2)
            by_nvjpeg[:] = False
    if isinstance(decoded, Tensor) and by_nvjpeg.all():
        return decoded
    images = iter(decoded)
    return [next(images) if taken else _decode_on_cpu(batch, place, files, device)
            for place, taken in zip(places.tolist(), by_nvjpeg.tolist(), strict=True)]


def _decode_on_cpu(batch: FileBatch, place: int, files: Sequence[str], device: torch.device) -> Tensor | ImageError:
    image = try_to_decode(batch.file(place), files[batch.indices[place]])
    return image.to(device) if isinstance(image, Tensor) else image
