"""Layers of the networks of torchvision, for comparison with the concept filters of IBC."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models

from ibc.checkpoint import read_state_dict
from ibc.dissection.encoders import HookedEncoder
from ibc.dissection.settings import IMAGENET
from ibc.errors import InputError, input_error
from ibc.pretrained import fetch_weights

LONGEST_REASON = 160  # letters of what torch says of weights that do not fit


def torchvision_encoder(name: str, layers: Sequence[str], weights: str | None) -> HookedEncoder:
    """A torchvision network with random weights (None), the published ones (``IMAGENET``) or those of a file.

    The file holds a state dict, bare or under 'state_dict'; the number of classes follows it.
    Raises InputError where name, layer or weights do not fit, or cannot be had.
    """
    if name not in models.list_models():
        near = [item for item in models.list_models() if name[:4].lower() in item] or models.list_models()
        raise input_error("--model", f"'{name}'", "a torchvision model", f"for example {', '.join(near[:8])}")
    torch.manual_seed(0)  # random weights are the same in every run
    values: dict[str, Tensor] = {}
    if weights == IMAGENET:
        published = models.get_model_weights(name)
        chosen = getattr(published, "IMAGENET1K_V1", None) or next(iter(published), None)
        if chosen is None:
            raise input_error("--weights", f"{IMAGENET}, but torchvision has no weights of {name}", "a file")
        values, weights = fetch_weights(chosen.url, name, "give a file by --weights FILE")
    elif weights is not None:
        values = {key.removeprefix("module."): value for key, value in read_state_dict(weights).items()}
    try:
        options: dict[str, Any] = {"num_classes": list(values.values())[-1].shape[0]} if values else {}
        if "weights_backbone" in signature(models.get_model_builder(name)).parameters:
            options["weights_backbone"] = None  # or torchvision would fetch some
        if name in ("googlenet", "inception_v3"):
            options["init_weights"] = False  # their default prints a warning
        network = models.get_model(name, weights=None, **options)
        if values:
            network.load_state_dict(values)
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        reason = shorten(str(error).partition("\n\t")[2] or str(error), LONGEST_REASON, placeholder=" …")
        raise InputError(f"{Path(weights or name)}: weights that do not fit {name} ({reason})") from None
    if any(isinstance(module, nn.Conv3d) for module in network.modules()):
        raise input_error("--model", f"{name}, a network for videos", "one for pictures")
    return HookedEncoder(network, layers)
