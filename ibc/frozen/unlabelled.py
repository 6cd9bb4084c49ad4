"""Codes of images without labels: PCA and iterative quantisation (ITQ) of a frozen backbone's pooled features.

ITQ (Gong and Lazebnik, 2011) rotates the leading components of the features so that their signs lose as little as
possible. Components and rotation together are one linear layer, so the result is an ordinary network: the hash layer
holds it, and filter k of ``conv_last`` the same row at each place, whose map shows where bit k comes from. The rule
matrix says of provisional groups (k-means) which bits are on more often than elsewhere. No bit has a meaning that
anybody gave it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ibc.backbones.network import BackboneNetwork
from ibc.errors import input_error
from ibc.optimiser import project_grm

ROUNDS = 50        # of ITQ; the loss hardly falls after 30
SHARPNESS = 3.0    # logit at one standard deviation of a bit's projection
GROUP_PARTS = 64   # leading components that groups are found by


class Unlabelled(NamedTuple):
    """groups: (N,) int64, the provisional group of each image. lost: share of the rotated components' energy that their
    signs lose, in [0, 1]."""

    groups: np.ndarray
    lost: float


@torch.no_grad()
def fit_unlabelled(model: BackboneNetwork, pooled: Tensor, seed: int) -> Unlabelled:
    """Fill the heads of ``model`` from (N, D) pooled features of its images; the trunk stays.

    Raises InputError where there are fewer images than bits or groups.
    """
    from sklearn.cluster import KMeans  # noqa: PLC0415 - sets environment variables when it is imported

    groups, bits = model.grm.shape
    most = min(len(pooled) - 1, pooled.shape[1])
    if bits > most or groups > most:
        raise input_error("model.code_len" if bits > most else "model.class_num", str(max(bits, groups)),
                          f"at most {most} with {len(pooled)} images of {pooled.shape[1]} features",
                          "take fewer, or more photographs")
    mean = pooled.mean(dim=0)
    components = principal_components(pooled, mean)
    projected = (pooled - mean) @ components[:, :bits]
    rotation, lost = itq(projected, seed)
    weight = fill_heads(model, mean, (components[:, :bits] @ rotation).T, (projected @ rotation).std(dim=0))
    leading = (pooled - mean) @ components[:, :GROUP_PARTS]
    leading = torch.nn.functional.normalize(leading)
    found = KMeans(groups, n_init=4, random_state=seed % 2**32).fit_predict(leading.numpy()).astype(np.int64)
    _describe_groups(model, torch.sigmoid(pooled @ weight.T - weight @ mean), torch.from_numpy(found))
    return Unlabelled(found, lost)


def principal_components(pooled: Tensor, mean: Tensor) -> Tensor:
    """(D, min(N, D)): the directions in which (N, D) features differ most, the first the most."""
    return torch.linalg.svd(pooled - mean, full_matrices=False).Vh.T


@torch.no_grad()
def fill_heads(model: BackboneNetwork, mean: Tensor, directions: Tensor, deviation: Tensor) -> Tensor:
    """Make bit k, and filter k at each place, the side of ``mean`` (D,) along direction k; returns the (K, D) weights.

    directions: (K, D). deviation: (K,), standard deviations of the features along them, by which bits are scaled.
    """
    weight = directions * SHARPNESS / deviation.clamp(min=1e-6)[:, None]
    heads = model.enc_style
    heads.hash_layer.weight.copy_(weight)
    assert heads.hash_layer.bias is not None and heads.conv_last.bias is not None
    heads.hash_layer.bias.copy_(-weight @ mean)
    heads.conv_last.weight.copy_(weight[:, :, None, None])
    heads.conv_last.bias.copy_(-weight @ mean)
    return weight


def itq(projected: Tensor, seed: int) -> tuple[Tensor, float]:
    """A rotation (K, K) of (N, K) components, and the share of their energy that the rotated signs lose."""
    bits = projected.shape[1]
    random = torch.randn(bits, bits, generator=torch.Generator().manual_seed(seed))
    rotation = torch.linalg.qr(random).Q
    for _ in range(ROUNDS):
        signs = torch.where(projected @ rotation >= 0, 1.0, -1.0)
        left, _, right = torch.linalg.svd(projected.T @ signs)
        rotation = left @ right
    rotated = projected @ rotation
    kept = rotated.abs().mean(dim=1).square().mean() / rotated.square().mean().clamp(min=1e-12)
    return rotation, float(1 - kept)


def _describe_groups(model: BackboneNetwork, codes: Tensor, groups: Tensor) -> None:
    """Rule matrix and code classifier from (N, K) codes and the group of each: gates of what is more often on."""
    bits = (codes > 0.5).float()
    means = torch.stack([bits[groups == number].mean(dim=0) for number in range(len(model.grm))])
    model.GRM.copy_((means - bits.mean(dim=0)).clamp(min=0))
    project_grm(model.GRM)
    classifier = model.enc_style.hash_prediction.fc  # the nearest mean code
    classifier.weight.copy_(means)
    classifier.bias.copy_(-means.square().sum(dim=1) / 2)
