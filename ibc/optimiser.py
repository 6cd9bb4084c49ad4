"""Adam with the official groups, and the projection of the rule matrix."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ibc.config import Config
from ibc.network import IBC

# (module, multiple of lr) in the official order of the optimiser's groups; the GRM comes last.
GROUPS = (("conv_basic", 1), ("pre_hash_layer", 1), ("hash_layer", 10), ("hash_prediction", 10),
          ("conv_last", 10), ("classifier", 1), ("real_prediction", 10))
GRM_LR = BESIDE_LR = 10


def make_optimizer(model: IBC, config: Config, beside: Iterable[nn.Parameter] = ()) -> torch.optim.Adam:
    """Adam with the eight official groups; ``initial_lr`` keeps each group's start rate.

    beside: fresh weights of an objective's own layers, if it has any: one group more.
    """
    groups: list[dict[str, Any]] = []
    for name, multiple in GROUPS:
        trained = [value for value in getattr(model.enc_style, name).parameters() if value.requires_grad]
        groups.append({"params": trained, "lr": config.lr * multiple})
    groups.append({"params": [model.GRM], "lr": config.lr * GRM_LR})
    if own := list(beside):
        groups.append({"params": own, "lr": config.lr * BESIDE_LR})
    for group in groups:
        group["initial_lr"] = group["lr"]
    return torch.optim.Adam(groups, betas=(config.beta1, config.beta2), eps=1e-8,
                            weight_decay=config.weight_decay, fused=True)


@torch.no_grad()
def project_grm(grm: Tensor) -> None:
    """In place: every column over its largest magnitude, clamped to [0, 1].

    A column of zeros stays (in the original it becomes NaN for ever).
    """
    largest = grm.abs().amax(dim=0, keepdim=True)
    grm.div_(torch.where(largest > 0, largest, 1)).clamp_(0, 1)
