"""Codes that no training made: signs of directions in a frozen backbone's pooled features, to compare methods with.

``pca``: the leading principal components. ``itq``: the same, rotated so that the signs lose little (Gong and Lazebnik,
2011). ``lsh``: random hyperplanes through the mean (Charikar, 2002). All are one linear layer, so the result is an
ordinary network. Its code classifier names the class with the nearest mean code: the labels change no bit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ibc.backbones.network import BackboneNetwork
from ibc.errors import input_error
from ibc.frozen.unlabelled import fill_heads, itq, principal_components

POST_HOC = ("pca", "itq", "lsh")


@torch.no_grad()
def fit_post_hoc(model: BackboneNetwork, pooled: Tensor, classes: Tensor, kind: str, seed: int) -> None:
    """Fill the heads of ``model`` from (N, D) pooled features; the trunk stays.

    classes: (N,) class ids, negative where there is none. kind: one of ``POST_HOC``. seed: of rotation or hyperplanes.
    Raises InputError for more bits than the features have components.
    """
    bits, most = model.grm.shape[1], min(len(pooled) - 1, pooled.shape[1])
    mean = pooled.mean(dim=0)
    if kind == "lsh":
        random = torch.randn(bits, pooled.shape[1], generator=torch.Generator().manual_seed(seed))
        weight, projected = random, (pooled - mean) @ random.T
    else:
        if bits > most:
            raise input_error("model.code_len", str(bits),
                              f"at most {most} with {len(pooled)} images of {pooled.shape[1]} features")
        components = principal_components(pooled, mean)[:, :bits]
        projected = (pooled - mean) @ components
        if kind == "itq":
            rotation = itq(projected, seed)[0]
            components, projected = components @ rotation, projected @ rotation
        weight = components.T
    fill_heads(model, mean, weight, projected.std(dim=0))
    _name_by_nearest_mean(model, (projected > 0).float(), classes)


def _name_by_nearest_mean(model: BackboneNetwork, bits: Tensor, classes: Tensor) -> None:
    """The code classifier of the class whose mean code is nearest; a class without images is never named."""
    known = classes >= 0
    members = F.one_hot(classes[known].long(), len(model.grm)).float()  # (N, C)
    counts = members.sum(dim=0)
    means = members.T @ bits[known] / counts.clamp(min=1)[:, None]
    classifier = model.enc_style.hash_prediction.fc
    classifier.weight.copy_(means)
    classifier.bias.copy_((-means.square().sum(dim=1) / 2).masked_fill(counts == 0, -torch.inf))
