"""The counts of ``CpuCounter`` by matrix products, for a GPU.

Masks (maps x pixels) times label masks (pixels x regions) gives the pixels of every label of the group inside every
mask of the group: the true pairing and all chance pairings in one product. The factors are 0 and 1 in 16 bits; the sums
are kept in 32 bits and stay below 2^24, so the counts are exact.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ibc.dissection.counting.bilinear import strict_limit, weight_matrix
from ibc.dissection.counting.counts import Counts, FiringMaps, LabelGroup, partner_steps

PIXELS_AT_ONCE = 2**25  # of masks; bounds the 64-bit intermediate: 256 MB


class TorchLabels:
    """The labels of a group as 0/1 rows on the device, one region for each label of each plane: a ``GroupLabels``.

    masks: (R, H * W) 16- or 32-bit floats, 1 inside the region. image, label: (R,) int64. indicator: (R, n * C), 1 in
    column i C + c where a region is of image i and primary category c.
    """

    def __init__(self, group: LabelGroup, primary: Tensor, categories: int):
        """primary: (L,) int64 category of each label, on the device to count on."""
        device, label_count = primary.device, len(primary)
        self.size, self.images, self.categories, self.label_count = group.size, len(group), categories, label_count
        planes = torch.from_numpy(group.planes.reshape(len(group.planes), self.size[0] * self.size[1]).view(np.int16))
        planes = planes.to(device, non_blocking=True).to(torch.int32).bitwise_and_(0xFFFF)
        present = torch.zeros(len(planes), label_count, dtype=torch.bool, device=device)
        present.scatter_(1, planes.long(), True)
        present[:, 0] = False
        plane, label = present.nonzero(as_tuple=True)
        masks = (planes[plane] == label[:, None]).to(_exact_dtype(device))
        whole_image, whole_label = (torch.from_numpy(part).to(device) for part in group.whole_image_labels())
        whole = masks.new_ones(len(whole_label), masks.shape[1])
        self.masks = torch.cat([masks, whole])
        self.label = torch.cat([label, whole_label])
        self.image = torch.cat([torch.from_numpy(group.image_of_plane).to(device)[plane], whole_image])
        place = self.image * categories + primary[self.label]
        self.indicator = F.one_hot(place, self.images * categories).to(masks.dtype)

    def truth(self) -> np.ndarray:
        """(L,) int64: pixels that carry each label."""
        counts = torch.zeros(self.label_count, dtype=torch.int64, device=self.label.device)
        return counts.index_add_(0, self.label, self.masks.sum(1, dtype=torch.float32).long()).cpu().numpy()


class TorchCounter:
    """Counts on a torch device: a ``PixelCounter``."""

    def __init__(self, thresholds: np.ndarray, start: Counts, device: torch.device):
        """thresholds: (K,) float64. start: tables to add to."""
        self.device = device
        self.limits = torch.from_numpy(strict_limit(thresholds)).to(device)
        self._both, self._activation, self._pixels = (
            torch.from_numpy(table).to(device, copy=True) for table in (start.both, start.activation, start.pixels))
        self._weights: dict[tuple[int, int], Tensor] = {}

    def add(self, labels: TorchLabels, firing: FiringMaps) -> None:
        """Count the masks of one group's firing maps."""
        other = torch.arange(labels.images, device=self.device).repeat_interleave(labels.categories)
        category = torch.arange(labels.categories, device=self.device).repeat(labels.images)
        step = max(PIXELS_AT_ONCE // labels.masks.shape[1], 1)
        for begin in range(0, len(firing.unit), step):
            part = slice(begin, begin + step)
            unit, image = firing.unit[part].to(self.device), firing.image[part].to(self.device)
            masks = self._masks(firing.maps[part].to(self.device), self.limits[unit], labels)  # (p, H W)
            pixels = masks.sum(1, dtype=torch.float32).long()
            self._pixels.index_add_(0, unit, pixels)
            inside = _exact_product(masks, labels.masks.T)  # (p, R)
            touched = inside > 0
            self._add_by_pairing(self._both, unit, labels.image - image[:, None], labels.images, touched,
                                 labels.label.expand_as(inside), inside)
            present = _exact_product(touched.to(masks.dtype), labels.indicator) > 0  # (p, n C)
            self._add_by_pairing(self._activation, unit, other - image[:, None], labels.images, present,
                                 category.expand_as(present), pixels[:, None].expand_as(present))

    def _add_by_pairing(self, table: Tensor, unit: Tensor, step: Tensor, images: int, wanted: Tensor,
                        column: Tensor, value: Tensor) -> None:
        """Add value (p, X), where ``wanted``, to table[unit, pairing, column].

        step: (p, X) place of the label's image minus place of the mask's image; modulo n it tells the pairing.
        """
        pairings, columns = table.shape[1:]
        step = step.remainder(images)
        if images >= pairings:  # every step is one pairing
            self._add(table, unit, step, wanted & (step < pairings), column, value, columns)
            return
        for pairing, wanted_step in enumerate(partner_steps(images, pairings).tolist()):
            of_pairing = wanted & (step == wanted_step % images)
            self._add(table, unit, torch.full_like(step, pairing), of_pairing, column, value, columns)

    @staticmethod
    def _add(table: Tensor, unit: Tensor, pairing: Tensor, wanted: Tensor, column: Tensor, value: Tensor,
             columns: int) -> None:
        row, place = wanted.nonzero(as_tuple=True)
        index = (unit[row] * table.shape[1] + pairing[row, place]) * columns + column[row, place]
        table.view(-1).index_add_(0, index, value[row, place].long())

    def _masks(self, maps: Tensor, limits: Tensor, labels: TorchLabels) -> Tensor:
        """(p, h, w) float32 maps -> (p, H * W) 0/1: the enlarged map is above its limit, with Pillow's rounding."""
        vertical = self._weight(maps.shape[1], labels.size[0])
        horizontal = self._weight(maps.shape[2], labels.size[1])
        rows = (maps.double() @ horizontal.T).float()  # (p, h, W)
        values = (vertical @ rows.double()).float()  # (p, H, W)
        return (values > limits[:, None, None]).flatten(1).to(labels.masks.dtype)

    def _weight(self, size_in: int, size_out: int) -> Tensor:
        if (size_in, size_out) not in self._weights:
            self._weights[size_in, size_out] = torch.from_numpy(weight_matrix(size_in, size_out)).to(self.device)
        return self._weights[size_in, size_out]

    def counts(self) -> Counts:
        """The tables so far."""
        return Counts(*(table.cpu().numpy() for table in (self._both, self._activation, self._pixels)))


def _exact_dtype(device: torch.device) -> torch.dtype:
    """A type that holds 0 and 1 and whose products are summed in 32 bits."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def _exact_product(left: Tensor, right: Tensor) -> Tensor:
    """Matrix product, summed in 32 bits."""
    if left.dtype == torch.float32:
        return left @ right
    return torch.mm(left, right, out_dtype=torch.float32)
