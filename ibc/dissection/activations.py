"""First pass: what the responses of one layer leave behind, batch by batch.

Goes in: feature maps (and codes) of every image once. Comes out: thresholds, each unit's top images
with their maps, sums for the alignment of bit k with unit k, and, as far as memory allows, the few
maps that can reach above their threshold (``MapStore``), so that the second pass need not encode again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ibc.dissection.counting.bilinear import strict_limit
from ibc.dissection.encoders import Response
from ibc.dissection.quantiles import Quantile, make_quantile
from ibc.dissection.resume import State, part_of, with_prefix


class MapStore:
    """Feature maps that may reach above their threshold, of whole batches, within a budget of bytes.

    A map is dropped as soon as the threshold is known to lie above its maximum. A batch that does
    not fit is left out, to be encoded again.
    """

    def __init__(self, budget: int, batches: int):
        self.budget, self.next_prune, self.prune_step = budget, 0, max(batches // 50, 1)
        self.kept: dict[int, StoredBatch] = {}

    @property
    def bytes(self) -> int:
        return sum(batch.bytes for batch in self.kept.values())

    def add(self, number: int, batch: StoredBatch, bound: Tensor | None) -> None:
        """bound: (K,) value that no threshold falls below, if one is known yet."""
        batch = batch.above(bound)
        if self.bytes + batch.bytes > self.budget and number >= self.next_prune:
            for key in self.kept:  # one at a time: the old and the new maps never stand side by side
                self.kept[key] = self.kept[key].above(bound)
            self.next_prune = number + self.prune_step
        if self.bytes + batch.bytes <= self.budget:
            self.kept[number] = batch


@dataclass
class StoredBatch:
    """Maps of one batch, ordered by image.

    image: (P,) int64 place in the batch. unit: (P,) int64. maps: (P, h, w) float32. peak: (P,) their
    maxima. bit: (P,) bool, code bit k of that image; None without codes.
    """

    image: Tensor
    unit: Tensor
    maps: Tensor
    peak: Tensor
    bit: Tensor | None

    @classmethod
    def of(cls, response: Response, bound: Tensor | None) -> StoredBatch:
        """Those maps of a response whose maximum is above ``bound`` (K,); all without one."""
        peaks = response.maps.amax((2, 3))  # (B, K)
        wanted = torch.ones_like(peaks, dtype=torch.bool) if bound is None else peaks > bound
        image, unit = wanted.nonzero(as_tuple=True)
        bit = None if response.codes is None else response.codes[image, unit] > 0.5
        return cls(image, unit, response.maps[image, unit].contiguous(), peaks[image, unit], bit)

    @property
    def bytes(self) -> int:
        return self.maps.nbytes + self.image.nbytes + self.unit.nbytes + self.peak.nbytes

    def above(self, bound: Tensor | None) -> StoredBatch:
        if bound is None:
            return self
        kept = self.peak > bound[self.unit]
        if bool(kept.all()):
            return self
        return StoredBatch(self.image[kept], self.unit[kept], self.maps[kept], self.peak[kept],
                           None if self.bit is None else self.bit[kept])


class TopImages:
    """The T images of largest maximum for each unit; of equal ones the image that comes first.

    image: (K, T) int64 index of the image, -1 = none. peak: (K, T) float32. maps: (K, T, h, w).
    """

    def __init__(self, units: int, top: int, map_size: tuple[int, int], device: torch.device):
        self.image = torch.full((units, top), -1, dtype=torch.int64, device=device)
        self.peak = torch.full((units, top), -torch.inf, device=device)
        self.maps = torch.zeros((units, top, *map_size), device=device)

    def add(self, images: Tensor, maps: Tensor) -> None:
        """images: (B,) int64. maps: (B, K, h, w)."""
        top = self.image.shape[1]
        peaks = maps.amax((2, 3)).T  # (K, B)
        image = torch.cat([self.image, images.expand_as(peaks)], 1)
        peak = torch.cat([self.peak, peaks], 1)
        by_image = image.argsort(dim=1, stable=True)
        order = by_image.gather(1, peak.gather(1, by_image).argsort(dim=1, descending=True, stable=True)[:, :top])
        new = order >= top
        unit = torch.arange(len(order), device=order.device)[:, None].expand_as(order)
        old_maps = self.maps[unit, order.clamp(max=top - 1)]
        self.maps = torch.where(new[..., None, None], maps[(order - top).clamp(min=0), unit], old_maps)
        self.image, self.peak = image.gather(1, order), peak.gather(1, order)

    def state(self) -> State:
        return {"image": self.image.cpu().numpy(), "peak": self.peak.cpu().numpy(), "maps": self.maps.cpu().numpy()}

    def restore(self, state: State) -> None:
        for name in ("image", "peak", "maps"):
            setattr(self, name, torch.from_numpy(state[name]).to(self.image.device))


class Correlation:
    """Pearson correlation, unit by unit, of two series that arrive in batches.

    Means and co-moments are merged batch by batch in 64 bits (Chan, Golub and LeVeque).
    """

    def __init__(self, units: int, device: torch.device):
        self.count = 0
        self.moments = torch.zeros(5, units, dtype=torch.float64, device=device)  # means of x, y; Sxx, Syy, Sxy

    def add(self, x: Tensor, y: Tensor) -> None:
        """x, y: (B, K)."""
        x, y = x.double(), y.double()
        size = len(x)
        mean_x, mean_y = x.mean(0), y.mean(0)
        x, y = x - mean_x, y - mean_y
        total = self.count + size
        shift_x, shift_y = mean_x - self.moments[0], mean_y - self.moments[1]
        share = self.count * size / total
        self.moments[0] += shift_x * (size / total)
        self.moments[1] += shift_y * (size / total)
        self.moments[2] += (x * x).sum(0) + shift_x * shift_x * share
        self.moments[3] += (y * y).sum(0) + shift_y * shift_y * share
        self.moments[4] += (x * y).sum(0) + shift_x * shift_y * share
        self.count = total

    def result(self) -> np.ndarray:
        """(K,) float64 in [-1, 1]; NaN where a series is constant."""
        _, _, xx, yy, xy = self.moments.cpu().numpy()
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.clip(xy / np.sqrt(xx * yy), -1, 1)

    def state(self) -> State:
        return {"count": np.array(self.count), "moments": self.moments.cpu().numpy()}

    def restore(self, state: State) -> None:
        self.count = int(state["count"])
        self.moments = torch.from_numpy(state["moments"]).to(self.moments.device)


class Survey:
    """Everything the first pass gathers about one layer."""

    def __init__(self, sample: Response, images: int, batches: int, position: float, top: int, memory: int,
                 threshold_memory: int, given: np.ndarray | None):
        """sample: a response that shows shapes and device. memory: bytes for maps. threshold_memory: for thresholds.

        given: (K,) thresholds to use instead of the quantile at ``position``.
        """
        _, units, height, width = sample.maps.shape
        device = sample.maps.device
        self.units, self.given, self.device = units, given, device
        self.quantile: Quantile = make_quantile(units, images * height * width, position, threshold_memory, device)
        self.store = MapStore(memory, batches)
        self.top = TopImages(units, min(top, images), (height, width), device)
        self.alignment = None if sample.codes is None else Correlation(units, device)
        self.bits_on = torch.zeros(units, dtype=torch.int64, device=device)

    def add(self, number: int, images: Tensor, response: Response) -> None:
        """Batch ``number``, whose images have the indices ``images`` (B,)."""
        maps = response.maps
        if self.given is None:
            self.quantile.add(maps.permute(1, 0, 2, 3).flatten(1))  # (K, B h w)
            bound = self.quantile.lower_bound()
        else:
            bound = torch.from_numpy(strict_limit(self.given)).to(self.device)
        self.top.add(images, maps)
        if response.codes is not None and self.alignment is not None:
            self.alignment.add(maps.mean((2, 3)), response.codes)
            self.bits_on += (response.codes > 0.5).sum(0)
        if self.store.budget > 0:
            self.store.add(number, StoredBatch.of(response, bound), bound)

    def thresholds(self) -> np.ndarray:
        """(K,) float64, after the last batch."""
        return self.quantile.result() if self.given is None else self.given

    def state(self) -> State:
        parts = {"quantile": self.quantile.state(), "top": self.top.state()}
        if self.alignment is not None:
            parts["alignment"] = self.alignment.state()
        values: State = {}
        for part, own in parts.items():
            values.update(with_prefix(f"{part}.", own))
        return {**values, "bits_on": self.bits_on.cpu().numpy()}

    def restore(self, state: State) -> None:
        for part in ("quantile", "top", "alignment"):
            own = part_of(state, f"{part}.")
            if own:
                getattr(self, part).restore(own)
        self.bits_on = torch.from_numpy(state["bits_on"]).to(self.device)
