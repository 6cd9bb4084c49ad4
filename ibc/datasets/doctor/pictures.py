"""Open every image as the loader will: is it there, whole, how large, and what does it look like?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ibc.data.zip_folder import read_bytes
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
class Picture:
    """fault: why the loader cannot use it, or "". damage: what the decoder passes over, or "".

    height, width: pixels. digest: of the file's bytes. look: 64-bit perceptual hash, 0 where there is none.
    """

    file: str
    fault: str = ""
    damage: str = ""
    height: int = 0
    width: int = 0
    digest: bytes = b""
    look: int = 0


def look_at(files: Iterable[str], decoder: str, workers: int) -> dict[str, Picture]:
    """Examine each file once; ``decoder`` as in the config."""
    unique = sorted(set(files))
    job = _Look(decoder)
    found: dict[str, Picture] = {}
    with Progress(len(unique), "images") as bar:
        for batch in run_batches(job, in_batches(unique, _BATCH), min(workers, -(-len(unique) // _BATCH))):
            found.update((picture.file, picture) for picture in batch)
            bar.update(len(batch))
    return found


@dataclass(frozen=True)
class _Look:
    decoder: str

    def __call__(self, files: list[str]) -> list[Picture]:
        return [self._one(file) for file in files]

    def _one(self, file: str) -> Picture:
        from ibc.data.decode import decode_image

        try:
            data = read_bytes(file)
            pixels = decode_image(data, self.decoder, name=file)  # (3, H, W)
        except OSError as error:
            return Picture(file, fault=error.strerror or str(error))
        except InputError as error:
            return Picture(file, fault=str(error).removeprefix(f"{file}: "))
        return Picture(file, "", _damage(data), pixels.shape[1], pixels.shape[2], hashlib.sha256(data).digest(),
                       _look(pixels.permute(1, 2, 0).numpy()))


def _damage(data: bytes) -> str:
    """What libjpeg complains of in a JPEG that it decodes all the same."""
    if simplejpeg is None or not data.startswith(b"\xff\xd8\xff"):
        return ""
    try:
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1)
    except ValueError as error:
        return str(error) if "orrupt" in str(error) or "remature" in str(error) else ""
    return ""


def _look(pixels: np.ndarray) -> int:
    """(H, W, 3) uint8 -> perceptual hash (discrete cosine transform), as a number."""
    if imagehash is None:
        return 0
    from PIL import Image

    bits = imagehash.phash(Image.fromarray(np.ascontiguousarray(pixels))).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
