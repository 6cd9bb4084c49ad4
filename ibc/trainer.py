"""The training of IBC, update by update: schedule, labels, update.

A batch (B, 3, H, W) with labels (B, L) goes in, the eight official loss values come out;
other objectives have loss values of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ibc.accelerate.faster import faster
from ibc.accelerate.global_labels import global_labels, with_labels
from ibc.backbones.network import make_network
from ibc.config import Config
from ibc.data.batch import Batch
from ibc.errors import input_error
from ibc.objectives.objective import BatchLabels
from ibc.objectives.table import make_objective
from ibc.optimiser import make_optimizer
from ibc.pretrained import load_pretrained
from ibc.schedule import lr_factor, share_done
from ibc.update import Update


class Trainer:
    """Network, optimiser and schedule of a run; ``step`` makes one update, ``updates`` one of every batch.

    Reads no list file. ``pretrained=False`` keeps the random start (a checkpoint will follow). ``amp``: ``off``, or
    ``bf16`` with float32 weights, losses and rule matrix. ``compile_update``: compile the update; on a GPU it is also
    recorded as a CUDA graph. ``plain``: make every update as ``ibc.update`` is written, without acceleration, in one
    process. Of several processes all call ``gather`` before any reads the weights.
    """

    def __init__(self, config: Config, device: str | torch.device = "cpu", *, pretrained: bool = True,
                 amp: str = "off", compile_update: bool = False, plain: bool = False):
        self.config, self.device = config, torch.device(device)
        self.iteration = 0  # updates done
        torch.manual_seed(config.seed)  # start values, dropout and multi-label draws
        self.model = make_network(config.model, config.init)
        if pretrained:
            load_pretrained(self.model, config.model)
        for module in self.model.idle():
            module.requires_grad_(False)
        self.model.to(self.device).train()
        self.objective = make_objective(config).to(self.device).train()
        self.optimizer = make_optimizer(self.model, config, self.objective.parameters())
        self.update = Update(self.model, self.objective, self.optimizer, config)
        if not plain:
            self.update = faster(self.update, bf16=amp == "bf16", compiled=compile_update)

    def step(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """One update; returns the losses by name (0-dim tensors on the device).

        images: (B, 3, H, W), uint8 or already normalised floats, B even. labels: (B, L) float.
        """
        return self._step(images, global_labels(labels, self.objective)())

    def updates(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, dict[str, Tensor]]]:
        """Each batch, and what ``step`` returns of it."""
        for batch, labels in with_labels(batches, self.objective):
            yield batch, self._step(batch.images, labels)

    def _step(self, images: Tensor, labels: BatchLabels) -> dict[str, Tensor]:
        if len(images) % 2:
            raise input_error(None, f"a batch of {len(images)} images", "an even number of images")
        self.iteration += 1
        factor = lr_factor(self.config, self.iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        return self.update(images, labels, torch.tensor(share_done(self.config, self.iteration), dtype=torch.float64))

    def gather(self) -> None:
        """Bring all weights and moments to every process. Of several, all call it at the same update."""
        self.update.gather()
