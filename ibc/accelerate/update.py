"""The update with a faster trunk, in mixed precision, compiled."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ibc.accelerate.trunk import for_training
from ibc.objectives.objective import BatchLabels
from ibc.update import Update


class FastUpdate(Update):
    """``plain``, faster on the device of its model.

    compiled: the trunk, and all that follows it, are compiled by themselves. The gradients of the fully connected
    layers, nine tenths of all, are then there before the backward pass of the trunk begins, and several processes
    average and use them meanwhile.
    """

    def __init__(self, plain: Update, *, bf16: bool = False, compiled: bool = False):
        super().__init__(for_training(plain.model, bf16=bf16), plain.objective, plain.optimizer, plain.config)
        self.compiled_features: Callable[[Tensor], Tensor] = self.features
        self.compiled_losses: Callable[..., dict[str, Tensor]] = self.losses_of
        if compiled:
            self.compiled_features = torch.compile(self.features)
            self.compiled_losses = torch.compile(self.losses_of)

    def losses(self, images: Tensor, labels: BatchLabels, done: Tensor) -> dict[str, Tensor]:
        """The losses of a batch by name."""
        images = images.contiguous(memory_format=torch.channels_last)
        return self.compiled_losses(self.compiled_features(images), labels, done)
