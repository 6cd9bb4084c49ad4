"""Labels of a batch, read before the update: targets, which rows count, and what the class losses divide by.

Everything here is a function of the labels alone. It is computed in main memory, so that an update never has to ask the
device which rows have a category.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from ibc.config import ModelConfig
from ibc.labels import NO_CATEGORY, NO_TARGET


@dataclass
class PartLabels:
    """Labels of some rows of a batch (one half, or all), b rows.

    targets: (b,) int64 class ids, NO_TARGET where there is none. vectors: (b, C) 0/1, multi-label only. rows: (b,) 1.0
    where the row counts, else 0.0. class_weights: (C,) or None. denominator: scalar that the class losses divide by,
    never 0. count: number of rows that count.
    """

    targets: Tensor
    vectors: Tensor | None
    rows: Tensor
    class_weights: Tensor | None
    denominator: Tensor
    count: int

    def tensors(self) -> dict[str, Tensor]:
        """The fields that are tensors, by name."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in named if isinstance(value, Tensor)}

    def to(self, device: torch.device, dtype: torch.dtype) -> PartLabels:
        """A copy on ``device``, floats as ``dtype``; the caller does not wait for the copy."""
        return self._map(lambda value: value.to(device, dtype if value.is_floating_point() else None,
                                                non_blocking=True))

    def _map(self, change: Callable[[Tensor], Tensor]) -> PartLabels:
        changed: dict[str, Any] = {name: change(value) for name, value in self.tensors().items()}
        return replace(self, **changed)

    def copy_(self, other: PartLabels) -> None:
        """Overwrite the tensors with those of ``other``, of the same shapes."""
        source = other.tensors()
        for name, value in self.tensors().items():
            value.copy_(source[name], non_blocking=True)


def batch_halves(labels: Tensor, model: ModelConfig) -> tuple[PartLabels, PartLabels]:
    """(B, L) labels of a batch -> those of its plain and of its masked half, in main memory."""
    half, labels, weights = len(labels) // 2, labels.cpu(), _class_weights(model)
    return (plain_half(labels[:half], model.multi_label, model.class_num, weights),
            masked_half(labels[half:], model.multi_label, model.class_num, weights))


def whole_batch(labels: Tensor, model: ModelConfig) -> PartLabels:
    """(B, L) labels of a batch -> those of all its rows, in main memory.

    Multi-label: ``targets`` holds one positive class of each sample, drawn as for the masked half, NO_TARGET without
    any; ``vectors`` holds all its classes.
    """
    labels, weights = labels.cpu(), _class_weights(model)
    if not model.multi_label:
        return plain_half(labels, False, model.class_num, weights)
    valid = labels[:, 0] != NO_CATEGORY
    return _vector_part(draw_classes(labels), labels[:, : model.class_num], valid, weights)


def _class_weights(model: ModelConfig) -> Tensor | None:
    return None if model.class_weights is None else torch.tensor(model.class_weights)


def plain_half(labels: Tensor, multi_label: bool, class_num: int, weights: Tensor | None) -> PartLabels:
    """The half that trains without masks. labels: (b, L) float, ids in column 0 or 0/1 vectors."""
    valid = labels[:, 0] != NO_CATEGORY
    if multi_label:
        return _vector_part(labels[:, 0].long(), labels[:, :class_num], valid, weights)
    targets = torch.where(valid, labels[:, 0].long(), NO_TARGET)
    return PartLabels(targets, None, valid.float(), weights, _weight_of(targets[valid], weights), int(valid.sum()))


def masked_half(labels: Tensor, multi_label: bool, class_num: int, weights: Tensor | None) -> PartLabels:
    """The half whose bits and maps are masked by the rule-matrix row of its class.

    Multi-label: one positive class of each sample is drawn, from torch's global CPU generator, in sample order; a
    sample without a positive class does not count.
    """
    if not multi_label:
        return plain_half(labels, False, class_num, weights)
    ids = draw_classes(labels)
    valid = ids != NO_TARGET
    vectors = torch.zeros(len(labels), class_num)
    vectors[valid, ids[valid]] = 1
    return _vector_part(ids, vectors, valid, weights)


def draw_classes(labels: Tensor) -> Tensor:
    """One positive class of each 0/1 row, (b,) int64; NO_TARGET where a row has none."""
    ids = torch.full((len(labels),), NO_TARGET, dtype=torch.int64)
    for row, vector in enumerate(labels):
        positives = torch.nonzero(vector == 1).flatten()
        if len(positives):
            ids[row] = positives[torch.randperm(len(positives))[0]]
    return ids


def _weight_of(present: Tensor, weights: Tensor | None) -> Tensor:
    """What the weighted mean of the cross-entropy divides by: the weights of the targets, summed; 1 for none."""
    if not len(present):
        return torch.tensor(1.0)
    return torch.tensor(float(len(present))) if weights is None else weights[present].sum()


def _vector_part(ids: Tensor, vectors: Tensor, valid: Tensor, weights: Tensor | None) -> PartLabels:
    count = int(valid.sum())
    vectors = torch.where(valid[:, None], vectors, 0).float()  # a marker such as 99999 is no target
    denominator = torch.tensor(float(count * vectors.shape[1] or 1))
    return PartLabels(torch.where(valid, ids, NO_TARGET), vectors, valid.float(), weights, denominator, count)
