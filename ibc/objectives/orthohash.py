"""OrthoHash (Hoe et al., NeurIPS 2021): one loss, the angle between a normalised code and its class's target.

    L = CE(s (cos(BN(h), target) - margin at the image's class), y),  s = 8, margin 0.2

The batch normalisation is part of the code: bit k is BN(h)_k > 0. A checkpoint holds it folded into the hash layer, so
that the network stays the official one; the layer as it is trained lies beside. Statistics are those of the whole
batch, of several processes too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibc.config import Config
from ibc.labels import NO_TARGET
from ibc.network import IBC
from ibc.objectives.centres import class_centres
from ibc.objectives.hashing import HashingObjective, HashPredictions
from ibc.objectives.objective import Term

SCALE, MARGIN = 8.0, 0.2


class OrthoHashObjective(HashingObjective):
    """``objective: orthohash``."""

    COMPARES = True  # by the statistics of the batch

    def __init__(self, config: Config):
        super().__init__(config)
        self.register_buffer("centres", class_centres(config.model.class_num, config.model.code_len, config.seed))
        self.normalisation = nn.BatchNorm1d(config.model.code_len)

    def hash_terms(self) -> tuple[Term, ...]:
        """One."""
        return (Term("loss_angle", 1.0, lambda p, labels, done: self.angle_loss(p, labels[0].class_weights)),)

    def angle_loss(self, found: HashPredictions, class_weights: Tensor | None) -> Tensor:
        """Mean over the images that have a class; 0 without any."""
        centres = self.get_buffer("centres")
        cosines = F.normalize(self.normalisation(found.h), dim=1) @ F.normalize(centres, dim=1).T
        known = (found.targets >= 0).to(cosines.dtype)
        own = F.one_hot(found.targets.clamp(min=0), len(centres)).to(cosines.dtype)
        total = F.cross_entropy(SCALE * (cosines - MARGIN * own), found.targets, class_weights,
                                ignore_index=NO_TARGET, reduction="sum")
        weights = known if class_weights is None else known * class_weights[found.targets.clamp(min=0)]
        return total / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)

    def code_outputs(self, h: Tensor) -> Tensor:
        """Normalised by the statistics of the run so far."""
        scale, shift = self._folding()
        return h * scale + shift

    def _folding(self) -> tuple[Tensor, Tensor]:
        """(K,) scale and shift of the normalisation in use."""
        layer = self.normalisation
        assert layer.running_mean is not None and layer.running_var is not None
        scale = layer.weight.detach() * torch.rsqrt(layer.running_var + layer.eps)
        return scale, layer.bias.detach() - layer.running_mean * scale

    @contextmanager
    def in_use(self, network: IBC) -> Iterator[None]:
        """With the normalisation folded into the hash layer."""
        layer = network.enc_style.hash_layer
        before = layer.weight.detach().clone(), layer.bias.detach().clone()
        scale, shift = self._folding()
        with torch.no_grad():
            layer.weight.mul_(scale[:, None])
            layer.bias.mul_(scale).add_(shift)
        try:
            yield
        finally:
            with torch.no_grad():
                layer.weight.copy_(before[0])
                layer.bias.copy_(before[1])

    def own_state(self, network: IBC) -> dict[str, Tensor]:
        """Targets, normalisation, and the hash layer without it."""
        layer = network.enc_style.hash_layer
        return {**self.state_dict(), "hash_layer.weight": layer.weight.detach().clone(),
                "hash_layer.bias": layer.bias.detach().clone()}

    def take_state(self, network: IBC, state: dict[str, Tensor]) -> None:
        """Also the hash layer without the normalisation."""
        layer, own = network.enc_style.hash_layer, dict(state)
        with torch.no_grad():
            layer.weight.copy_(own.pop("hash_layer.weight"))
            layer.bias.copy_(own.pop("hash_layer.bias"))
        self.load_state_dict(own)
