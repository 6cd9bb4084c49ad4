"""The feature maps that pass one keeps for pass two, so that most images need not be encoded again.

A mask exists only where a map exceeds its unit's threshold, which few maps do. The thresholds are known only after the
last image, but a lower bound on them rises on the way: a map whose maximum is not above it can be dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ibc.dissection.encoders import Response


@dataclass
class BatchMaps:
    """Feature maps of one batch of images, ordered by image.

    image: (P,) int64 place in the batch. unit: (P,) int64, 0-based. maps: (P, h, w) float32. peak: (P,) their
    maxima. bit: (P,) bool, whether bit ``unit`` of the image's code is 1; None without codes.
    """

    image: Tensor
    unit: Tensor
    maps: Tensor
    peak: Tensor
    bit: Tensor | None

    @classmethod
    def of(cls, response: Response, bound: Tensor | None) -> BatchMaps:
        """The maps of a response whose maximum is above ``bound`` (K,); all of them where it is None."""
        peaks = response.maps.amax((2, 3))  # (B, K)
        wanted = torch.ones_like(peaks, dtype=torch.bool) if bound is None else peaks > bound
        image, unit = wanted.nonzero(as_tuple=True)
        bit = None if response.codes is None else response.codes[image, unit] > 0.5
        return cls(image, unit, response.maps[image, unit].contiguous(), peaks[image, unit], bit)

    @property
    def bytes(self) -> int:
        """Memory of the tensors that count."""
        return self.maps.nbytes + self.image.nbytes + self.unit.nbytes + self.peak.nbytes

    def above(self, bound: Tensor | None) -> BatchMaps:
        """Those whose maximum is above ``bound`` (K,); all of them where it is None."""
        if bound is None:
            return self
        kept = self.peak > bound[self.unit]
        if bool(kept.all()):
            return self
        return BatchMaps(self.image[kept], self.unit[kept], self.maps[kept], self.peak[kept],
                         None if self.bit is None else self.bit[kept])


class KeptMaps:
    """The maps of whole batches that may exceed their threshold, within a budget of bytes.

    A batch that does not fit is left out; pass two encodes it again.
    """

    def __init__(self, budget: int, batches: int):
        """budget: bytes. batches: how many there will be."""
        self.budget, self.next_prune, self.prune_step = budget, 0, max(batches // 50, 1)
        self.kept: dict[int, BatchMaps] = {}  # by number of the batch

    @property
    def bytes(self) -> int:
        """Memory in use."""
        return sum(batch.bytes for batch in self.kept.values())

    def add(self, number: int, batch: BatchMaps, bound: Tensor | None) -> None:
        """Keep batch ``number`` if there is room. bound: (K,) value that no threshold falls below, if already known."""
        batch = batch.above(bound)
        if self.bytes + batch.bytes > self.budget and number >= self.next_prune:
            for key in self.kept:  # one at a time, so that old and new maps are never all in memory together
                self.kept[key] = self.kept[key].above(bound)
            self.next_prune = number + self.prune_step
        if self.bytes + batch.bytes <= self.budget:
            self.kept[number] = batch
