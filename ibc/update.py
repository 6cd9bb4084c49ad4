"""One IBC update: forward pass of both halves of a batch, the losses, backward pass, Adam, projection.

The whole batch goes through the network once. Its first half is scored as it is. In the second half, bits and concept
maps are multiplied by the rule-matrix row of each image's class, so that the class must be told by the few bits and
filters that the rule matrix gives it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ibc.batch_labels import HalfLabels
from ibc.config import Config
from ibc.losses import TOTAL, Predictions, batch_losses, code_density
from ibc.network import IBC
from ibc.normalise import normalise
from ibc.optimiser import project_grm

CLASS_MODULES = ("classifier", "real_prediction", "hash_prediction")  # only the class losses reach these


class Update:
    """An update of ``model`` by ``optimizer``, as the configuration weights the losses.

    ``ibc.accelerate`` has faster ones, with the same call.
    """

    def __init__(self, model: IBC, optimizer: torch.optim.Adam, config: Config):
        self.model, self.optimizer, self.config = model, optimizer, config
        self.class_parameters = frozenset(parameter for module in CLASS_MODULES
                                          for parameter in getattr(model.enc_style, module).parameters())

    def __call__(self, images: Tensor, plain: HalfLabels, masked: HalfLabels) -> dict[str, Tensor]:
        """Make one update; returns the losses by name, 0-dim tensors on the device.

        images: (B, 3, H, W), uint8 or already normalised. plain, masked: labels of the first and of the second half.
        """
        device, dtype = self.model.GRM.device, self.model.GRM.dtype
        plain, masked = plain.to(device, dtype), masked.to(device, dtype)
        losses = self.losses(images.to(device, non_blocking=True), plain, masked)
        self.optimizer.zero_grad(set_to_none=True)
        # Without any label, as in the original, the layers that only the class losses reach take no step.
        self.descend(losses[TOTAL], self.class_parameters if plain.count + masked.count == 0 else frozenset())
        project_grm(self.model.GRM)
        return {name: value.detach() for name, value in losses.items()}

    def descend(self, loss: Tensor, idle: frozenset[torch.nn.Parameter]) -> None:
        """Backward pass and step of Adam. The parameters ``idle`` take no step."""
        loss.backward()
        for parameter in idle:
            parameter.grad = None
        self.optimizer.step()

    def losses(self, images: Tensor, plain: HalfLabels, masked: HalfLabels) -> dict[str, Tensor]:
        """The losses of a batch by name."""
        return batch_losses(self.predictions(self.features(images), masked), plain, masked, self.config)

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) images, uint8 or normalised -> (B, 256, 6, 6)."""
        if images.dtype == torch.uint8:
            images = normalise(images)
        return self.model.features(images.to(self.model.GRM.dtype))

    def predictions(self, features: Tensor, masked: HalfLabels) -> Predictions:
        """(B, 256, 6, 6) features -> what both branches say, the second half masked by G[y]."""
        grm, half = self.model.GRM, len(features) // 2
        rows = grm[masked.targets.clamp(min=0)]  # (B / 2, K)
        # Images without a class keep their bits and maps as they are.
        gates = torch.where(masked.rows[:, None] > 0, rows, torch.ones_like(rows))
        out = self.model.branches(features, torch.cat([torch.ones_like(gates), gates]))
        codes, real = out.codes, out.real_logits
        code = self.model.classify_codes(torch.cat([codes[:half], codes[half:] * gates]))
        return Predictions(real[:half], code[:half], real[half:], code[half:], codes[half:], out.maps[half:],
                           code_density(codes[half:]), grm)

    def gather(self) -> None:
        """Bring all weights to where they are read. Here they always are; of several processes each has a part."""
