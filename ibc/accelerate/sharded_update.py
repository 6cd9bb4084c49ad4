"""The update of one of several processes: its part of the batch, and its part of Adam's work.

The result is that of one process with the whole batch (dropout aside).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ibc.accelerate.sharded_adam import ShardedAdam, same_start
from ibc.accelerate.update import FastUpdate
from ibc.objectives.objective import BatchLabels
from ibc.processes import rank
from ibc.update import Update


class ShardedUpdate(FastUpdate):
    """``plain`` in one of several processes; all of them make it at the same time, and start from the first's weights.

    The labels carry the denominators of the whole batch (``ibc.accelerate.global_labels``).
    """

    def __init__(self, plain: Update, *, bf16: bool = False, compiled: bool = False):
        super().__init__(plain, bf16=bf16, compiled=compiled)
        same_start([*self.model.parameters(), *self.objective.parameters()])
        self.adam = ShardedAdam(self.optimizer, self.model.GRM.device)
        torch.manual_seed(self.config.seed + rank())  # from here on dropout differs between the processes
        self.compiled_predictions: Callable[..., Any] = self.predictions
        self.compiled_terms: Callable[..., dict[str, Tensor]] = self.objective.losses
        if compiled:
            self.compiled_predictions = torch.compile(self.predictions)
            self.compiled_terms = torch.compile(self.objective.losses)

    def __call__(self, images: Tensor, labels: BatchLabels, done: Tensor) -> dict[str, Tensor]:
        """Make one update; returns the losses of this process by name, 0-dim tensors on the device."""
        self.adam.begin()
        return super().__call__(images, labels, done)

    def losses(self, images: Tensor, labels: BatchLabels, done: Tensor) -> dict[str, Tensor]:
        """The losses of this process's images by name."""
        features = self.compiled_features(images.contiguous(memory_format=torch.channels_last))
        self.adam.gathered()  # what follows the trunk needs the rows of the other processes
        found = self.objective.over_processes(self.compiled_predictions(features, labels))
        return self.compiled_terms(found, labels, done)

    def descend(self, loss: Tensor, idle: frozenset[torch.nn.Parameter]) -> None:
        """Backward pass, during which this process averages and steps its part of the weights."""
        self.adam.idle = idle
        loss.backward()
        self.adam.finish()

    def gather(self) -> None:
        """Bring all weights and moments to every process; all call it at the same update."""
        self.adam.gather()
