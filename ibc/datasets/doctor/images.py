"""Opens every image as the loader will: is it there, is it whole, how large is it, and what does it look like?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ibc.data.decode import decode_image, read_image_file
from ibc.errors import InputError
from ibc.process_pool import in_batches, run_batches
from ibc.progress import Progress

try:
    import imagehash
except ImportError:
    imagehash = None  # type: ignore[assignment]

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

HAS_HASHES = imagehash is not None
_BATCH = 64


@dataclass(frozen=True, slots=True)
class ExaminedImage:
    """What is found out about an image file.

    fault: why the loader cannot use it; "" for none. damage: what is broken in it although the decoder fills it in; ""
    for nothing. height, width: in pixels. digest: SHA-256 of the file. perceptual_hash: 64 bits; 0 without ImageHash.
    """

    file: str
    fault: str = ""
    damage: str = ""
    height: int = 0
    width: int = 0
    digest: bytes = b""
    perceptual_hash: int = 0


def examine_images(files: Iterable[str], decoder: str, workers: int) -> dict[str, ExaminedImage]:
    """File -> what is found out about it; each file is opened once. decoder: as in the config."""
    unique = sorted(set(files))
    job = _ExaminationJob(decoder)
    found: dict[str, ExaminedImage] = {}
    with Progress(len(unique), "images") as bar:
        for batch in run_batches(job, in_batches(unique, _BATCH), min(workers, -(-len(unique) // _BATCH))):
            found.update((image.file, image) for image in batch)
            bar.update(len(batch))
    return found


@dataclass(frozen=True)
class _ExaminationJob:
    """Examines a batch of files, in a worker process or here."""

    decoder: str

    def __call__(self, files: list[str]) -> list[ExaminedImage]:
        return [self._one(file) for file in files]

    def _one(self, file: str) -> ExaminedImage:
        try:
            data = read_image_file(file)
            pixels = decode_image(data, self.decoder, name=file)  # (3, H, W)
        except InputError as error:
            return ExaminedImage(file, fault=str(error).removeprefix(f"{file}: "))
        return ExaminedImage(file, "", _damage(data), pixels.shape[1], pixels.shape[2], hashlib.sha256(data).digest(),
                             _perceptual_hash(pixels.permute(1, 2, 0).numpy()))


def _damage(data: bytes) -> str:
    """What libjpeg complains of in a JPEG that it decodes all the same."""
    if simplejpeg is None or not data.startswith(b"\xff\xd8\xff"):
        return ""
    try:
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1)
    except ValueError as error:
        return str(error) if "orrupt" in str(error) or "remature" in str(error) else ""
    return ""


def _perceptual_hash(pixels: np.ndarray) -> int:
    """(H, W, 3) uint8 -> 64-bit perceptual hash (of the discrete cosine transform) as a number."""
    if imagehash is None:
        return 0
    bits = imagehash.phash(Image.fromarray(np.ascontiguousarray(pixels))).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
