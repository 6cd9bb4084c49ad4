"""A data set of any size out of a small real one: every image is shifted, mirrored and dimmed on the fly.

Reading one costs what reading Broden does: a JPEG and four label maps are decoded. Labels spread over
1,200 numbers, so that the tables have Broden's size.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from ibc.data.broden.dataset import Broden

PLANES = 4
LABELS = 1200  # of which a quarter for each plane


class RepeatedBroden(Broden):
    """``count`` images made of those of ``source``, with four planes each."""

    def __init__(self, source: Broden, count: int):
        self.source = source
        records = [source.records[index % len(source)] for index in range(count)]
        categories = ["object", "part", "material", "color"]
        names = ["", *(f"label {number}" for number in range(1, LABELS + 1))]
        primary = np.r_[PLANES - 1, np.arange(LABELS) * PLANES // LABELS]
        super().__init__(source.folder, source.index_file, [record._replace(scalars=()) for record in records],
                         categories, names, primary, [])

    def read_image(self, index: int, decoder: str = "pillow") -> Tensor:
        image = self.source.read_image(index % len(self.source), decoder)
        shift, mirror, light = self._change(index)
        image = torch.roll(image, shift, (1, 2))
        if mirror:
            image = image.flip(2)
        return (image.to(torch.int16) * light >> 7).clamp_(max=255).to(torch.uint8)

    def read_planes(self, index: int) -> np.ndarray:
        place = index % len(self.source)
        planes: list[np.ndarray] = []
        while len(planes) < PLANES:  # decoded anew each time: four label maps, as in Broden
            planes.extend(self.source.read_planes(place))
        del planes[PLANES:]
        shift, mirror, _ = self._change(index)
        share = LABELS // PLANES
        offset = index * 7919 % share  # other labels in every image
        for number, plane in enumerate(planes):
            plane = np.roll(plane, (shift[0] // 2, shift[1] // 2), (0, 1))
            planes[number] = np.where(plane > 0, (plane + offset) % share + number * share + 1, 0)
            if mirror:
                planes[number] = planes[number][:, ::-1]
        return np.stack(planes).astype(np.uint16)

    @staticmethod
    def _change(index: int) -> tuple[tuple[int, int], bool, int]:
        """Shift in pixels, mirrored or not, light in 1/128."""
        draw = hashlib.blake2b(int(index).to_bytes(8, "little"), digest_size=4).digest()
        return (draw[0] % 32, draw[1] % 64), bool(draw[2] & 1), 96 + draw[3] % 48

    def fingerprint(self) -> str:
        return f"repeated {len(self)}"

