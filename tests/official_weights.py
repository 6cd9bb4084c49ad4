"""The weights that the reference results were computed with (recipe in their README)."""

import math
import zlib

import torch
from torch import nn

from ibc.network import IBC, alias_groups


def set_official_weights(model: IBC) -> None:
    """Overwrite every distinct parameter, seeded by the alphabetically first of its names; dropout off."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    with torch.no_grad():
        for names in alias_groups(model):
            name = min(names)
            parameter = parameters[name]
            generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            if name == "GRM":
                value = torch.rand(parameter.shape, generator=generator)
            elif parameter.ndim == 1:
                value = torch.randn(parameter.shape, generator=generator) * 0.01
            else:
                value = torch.randn(parameter.shape, generator=generator) / math.sqrt(parameter[0].numel())
            parameter.copy_(value)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
