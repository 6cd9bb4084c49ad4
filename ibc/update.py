"""One IBC update: forward pass of a batch, the losses, backward pass, Adam, projection.

The objective (``ibc.objectives``) says what is looked at and what is minimised.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ibc.config import Config
from ibc.network import IBC
from ibc.normalise import normalise
from ibc.objectives.objective import TOTAL, BatchLabels, Objective
from ibc.optimiser import project_grm

COLOURS = 3  # channels of an image; no backbone has so few features


class Update:
    """An update of ``model`` by ``optimizer`` towards ``objective``.

    ``ibc.accelerate`` has faster ones, with the same call.
    """

    def __init__(self, model: IBC, objective: Objective[Any], optimizer: torch.optim.Adam, config: Config):
        self.model, self.objective, self.optimizer, self.config = model, objective, optimizer, config
        self.class_parameters = objective.class_parameters(model)
        self.frozen = config.model.freeze == "backbone"

    def __call__(self, images: Tensor, labels: BatchLabels, done: Tensor) -> dict[str, Tensor]:
        """Make one update; returns the losses by name, 0-dim tensors on the device.

        images: (B, 3, H, W), uint8 or already normalised. labels: as the objective read them. done: 0-dim, share of
        the run's updates that are made.
        """
        device, dtype = self.model.GRM.device, self.model.GRM.dtype
        labels = tuple(part.to(device, dtype) for part in labels)
        losses = self.losses(images.to(device, non_blocking=True), labels, done.to(device, dtype, non_blocking=True))
        self.optimizer.zero_grad(set_to_none=True)
        # Without any label, as in the original, the layers that only the class losses reach take no step.
        self.descend(losses[TOTAL], frozenset() if any(part.count for part in labels) else self.class_parameters)
        project_grm(self.model.GRM)
        return {name: value.detach() for name, value in losses.items()}

    def descend(self, loss: Tensor, idle: frozenset[torch.nn.Parameter]) -> None:
        """Backward pass and step of Adam. The parameters ``idle`` take no step."""
        loss.backward()
        for parameter in idle:
            parameter.grad = None
        self.optimizer.step()

    def losses(self, images: Tensor, labels: BatchLabels, done: Tensor) -> dict[str, Tensor]:
        """The losses of a batch by name."""
        return self.losses_of(self.features(images), labels, done)

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) images, uint8 or normalised -> (B, 256, 6, 6).

        Where the backbone is frozen, images may be kept features (B, D, h, w) already.
        """
        if self.frozen and images.shape[1] != COLOURS:
            return images.to(self.model.GRM.dtype)
        if images.dtype == torch.uint8:
            images = normalise(images)
        return self.model.features(images.to(self.model.GRM.dtype))

    def losses_of(self, features: Tensor, labels: BatchLabels, done: Tensor) -> dict[str, Tensor]:
        """(B, 256, 6, 6) features -> the losses of the batch by name."""
        return self.objective.losses(self.predictions(features, labels), labels, done)

    def predictions(self, features: Tensor, labels: BatchLabels) -> Any:
        """(B, 256, 6, 6) features -> what the objective looks at."""
        return self.objective.predictions(self.model, features, labels)

    def gather(self) -> None:
        """Bring all weights to where they are read. Here they always are; of several processes each has a part."""
