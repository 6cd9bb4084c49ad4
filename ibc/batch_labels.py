"""Labels of a batch, read on the host before the update: targets, validity and denominators.

Everything here is a function of the labels alone, so the device never has to answer "which rows
have a category?" in the middle of an update.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from ibc.labels import NO_CATEGORY, NO_TARGET
from ibc.losses import class_denominator


@dataclass
class Half:
    """Labels of one half of the batch, b rows.

    targets: (b,) int64 class ids, NO_TARGET where there is none. vectors: (b, C) 0/1, multi-label
    only. rows: (b,) 1.0 where the row counts, else 0.0. denominator: scalar that the class losses
    divide by, never 0. count: number of rows that count.
    """

    targets: Tensor
    vectors: Tensor | None
    rows: Tensor
    denominator: Tensor
    count: int

    def tensors(self) -> dict[str, Tensor]:
        """The fields that are tensors, by name."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in named if isinstance(value, Tensor)}

    def to(self, device: torch.device) -> Half:
        """Copy to the device without waiting for it."""
        return self._map(lambda value: value.to(device, non_blocking=True))

    def floats(self, dtype: torch.dtype) -> Half:
        """Floats as ``dtype``."""
        return self._map(lambda value: value.to(dtype) if value.is_floating_point() else value)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Half:
        changed: dict[str, Any] = {name: change(value) for name, value in self.tensors().items()}
        return replace(self, **changed)

    def copy_(self, other: Half) -> None:
        """Overwrite the tensors with those of ``other``, of the same shapes."""
        source = other.tensors()
        for name, value in self.tensors().items():
            value.copy_(source[name], non_blocking=True)


def plain_half(labels: Tensor, multi_label: bool, class_num: int, weights: Tensor | None) -> Half:
    """The half that trains without masks. labels: (b, L) float, ids in column 0 or 0/1 vectors."""
    valid = labels[:, 0] != NO_CATEGORY
    if multi_label:
        return _vector_half(labels[:, 0].long(), labels[:, :class_num], valid)
    return _class_half(labels[:, 0].long(), valid, weights)


def masked_half(labels: Tensor, multi_label: bool, class_num: int, weights: Tensor | None) -> Half:
    """The half whose bits and maps are masked by the rule matrix row of its class.

    Multi-label: one positive class of each sample is drawn, from torch's global CPU generator, in
    sample order; a sample without a positive class does not count.
    """
    if not multi_label:
        return plain_half(labels, False, class_num, weights)
    ids = draw_classes(labels)
    valid = ids != NO_TARGET
    vectors = torch.zeros(len(labels), class_num)
    vectors[valid, ids[valid]] = 1
    return _vector_half(ids, vectors, valid)


def draw_classes(labels: Tensor) -> Tensor:
    """One positive class of each 0/1 row, (b,) int64; NO_TARGET where a row has none."""
    ids = torch.full((len(labels),), NO_TARGET, dtype=torch.int64)
    for row, vector in enumerate(labels):
        positives = torch.nonzero(vector == 1).flatten()
        if len(positives):
            ids[row] = positives[torch.randperm(len(positives))[0]]
    return ids


def _class_half(ids: Tensor, valid: Tensor, weights: Tensor | None) -> Half:
    targets = torch.where(valid, ids, NO_TARGET)
    return Half(targets, None, valid.float(), class_denominator(targets, weights), int(valid.sum()))


def _vector_half(ids: Tensor, vectors: Tensor, valid: Tensor) -> Half:
    count = int(valid.sum())
    vectors = torch.where(valid[:, None], vectors, 0).float()  # a marker such as 99999 is no target
    return Half(torch.where(valid, ids, NO_TARGET), vectors, valid.float(),
                torch.tensor(float(count * vectors.shape[1])), count)
