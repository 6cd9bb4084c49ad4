"""Strips of a unit's top images: full light inside its mask, dimmed outside."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from ibc.data.broden.dataset import Broden
from ibc.data.image_bytes import image_bytes
from ibc.dissection.counting.bilinear import strict_limit
from ibc.dissection.counting.bitmasks import Enlarger, unpack
from ibc.dissection.tally import Tally
from ibc.errors import input_error
from ibc.files import atomic_write

GAP = 3             # white pixels between images
DIM = 0.2           # light outside the mask
QUALITY = 85        # of the JPEG
CACHE_BYTES = 2**26  # of decoded images; many units share theirs


def strip_name(layer: str, unit: int) -> str:
    """File name of a 1-based unit's strip; the number in it counts from 0, as in the official tool."""
    return f"{layer}-{unit - 1:04d}.jpg"


def write_strips(folder: Path, tally: Tally, broden: Broden, size: tuple[int, int], threads: int) -> None:
    """Write one JPEG strip a unit to ``folder``; strips of other units of this layer are deleted.

    size: (height, width) of each image in a strip, pixels. threads: that draw.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index_of = {record.image: index for index, record in enumerate(broden.records)}
    enlarge = Enlarger(tally.top_maps.shape[2:], size)
    limits = strict_limit(tally.thresholds)
    height, width = size

    @lru_cache(maxsize=max(CACHE_BYTES // (6 * height * width), 16))
    def bright_and_dim(name: str) -> tuple[np.ndarray, np.ndarray]:
        if name not in index_of:
            raise input_error(broden.folder / broden.index_file, f"no image '{name}', which the tally names",
                              "that image", "dissect again into another folder")
        image = broden.read_image(index_of[name]).permute(1, 2, 0).numpy()
        if image.shape[:2] != size:
            image = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
        return image, (image * np.float32(DIM)).astype(np.uint8)

    def write(row: int) -> None:
        names = [tally.image_names[place] for place in tally.top_images[row]]
        shown = [place for place, name in enumerate(names) if name]
        masks = unpack(enlarge(tally.top_maps[row, shown], np.full(len(shown), limits[row])), size)
        strip = np.full((height, len(shown) * (width + GAP) - GAP, 3), 255, np.uint8)
        for place, mask in zip(shown, masks, strict=True):
            tile = strip[:, place * (width + GAP) : place * (width + GAP) + width]
            bright, dim = bright_and_dim(names[place])
            tile[...] = dim
            np.copyto(tile, bright, where=mask[..., None])
        with atomic_write(folder / strip_name(tally.layer, int(tally.units[row])), sync=False) as handle:
            handle.write(image_bytes(Image.fromarray(strip), "JPEG", quality=QUALITY))

    wanted = {strip_name(tally.layer, unit) for unit in tally.units.tolist()}
    for old in _strips_of(folder, tally.layer):
        if old.name not in wanted:
            old.unlink()
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        for _ in pool.map(write, range(len(tally.units))):
            pass


def _strips_of(folder: Path, layer: str) -> Iterator[Path]:
    return (path for path in folder.iterdir()
            if path.suffix == ".jpg" and path.stem.rpartition("-")[0] == layer and path.stem[-4:].isdigit())
