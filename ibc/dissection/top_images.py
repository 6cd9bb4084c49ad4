"""The images that each unit responds to most, with their feature maps."""

from __future__ import annotations

import torch
from torch import Tensor

from ibc.dissection.resume import State


class TopImages:
    """The T images with the largest maximum of each unit; among equal ones the image that comes first in the index.

    image: (K, T) int64 index of the image, -1 = none. peak: (K, T) float32 maximum. maps: (K, T, h, w).
    """

    def __init__(self, units: int, top: int, map_size: tuple[int, int], device: torch.device):
        self.image = torch.full((units, top), -1, dtype=torch.int64, device=device)
        self.peak = torch.full((units, top), -torch.inf, device=device)
        self.maps = torch.zeros((units, top, *map_size), device=device)

    def add(self, images: Tensor, maps: Tensor) -> None:
        """images: (B,) int64 indices. maps: (B, K, h, w)."""
        top = self.image.shape[1]
        peaks = maps.amax((2, 3)).T  # (K, B)
        image = torch.cat([self.image, images.expand_as(peaks)], 1)
        peak = torch.cat([self.peak, peaks], 1)
        by_image = image.argsort(dim=1, stable=True)
        order = by_image.gather(1, peak.gather(1, by_image).argsort(dim=1, descending=True, stable=True)[:, :top])
        new = order >= top  # (K, T): whether it comes from this batch
        unit = torch.arange(len(order), device=order.device)[:, None].expand_as(order)
        old_maps = self.maps[unit, order.clamp(max=top - 1)]
        self.maps = torch.where(new[..., None, None], maps[(order - top).clamp(min=0), unit], old_maps)
        self.image, self.peak = image.gather(1, order), peak.gather(1, order)

    def state(self) -> State:
        """What an unfinished run keeps."""
        return {"image": self.image.cpu().numpy(), "peak": self.peak.cpu().numpy(), "maps": self.maps.cpu().numpy()}

    def restore(self, state: State) -> None:
        """Go on from a ``state``."""
        for name in ("image", "peak", "maps"):
            setattr(self, name, torch.from_numpy(state[name]).to(self.image.device))
