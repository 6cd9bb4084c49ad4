"""torchvision's networks filled with weights: published ones as torchvision does it, those of files by their shapes."""

from __future__ import annotations

import math
import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from textwrap import shorten
from typing import Any

from torch import Tensor, nn
from torchvision import models

from ibc.errors import InputError
from ibc.state_dict import plain_names

LONGEST_REASON = 160   # letters of what torch says of weights that do not fit
MOST_CLASSES = 100_000
COUNTER = "num_batches_tracked"  # what a layer counts in training only, and old files lack
# What files of before PyTorch 0.4 call the layers of a DenseNet; torchvision renames them too.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


def published_of(name: str) -> list[Any]:
    """What torchvision publishes for a network, the first of ImageNet first; each has a ``url``."""
    known = list(models.get_model_weights(name))
    return sorted(known, key=lambda member: member.name != "IMAGENET1K_V1")


def is_file_of(published: Any, file: str | os.PathLike) -> bool:
    """Whether a file bears the name of a published one, of this version of torchvision or an earlier one."""
    stem = Path(published.url).name.rpartition("-")[0]
    return re.fullmatch(rf"{re.escape(stem)}-[0-9a-f]{{8,}}\.pth", Path(file).name) is not None


def published_network(name: str, published: Any, values: dict[str, Tensor], source: str) -> nn.Module:
    """The network as torchvision builds it for its own weights: scale of the input, heads and constants included.

    published: a member of torchvision's enum of weights. values: what its file holds. source: the file, for messages.
    """
    with _fits(name, source), _handed_out(values):
        return models.get_model(name, weights=published)


@contextmanager
def _handed_out(values: dict[str, Tensor]) -> Iterator[None]:
    """Inside: torchvision takes ``values`` for what it would load (without a check of what the file calls)."""
    original = models.WeightsEnum.get_state_dict
    models.WeightsEnum.get_state_dict = lambda *_, **__: values
    try:
        yield
    finally:
        models.WeightsEnum.get_state_dict = original


def filled_network(name: str, values: dict[str, Tensor], source: str | os.PathLike) -> nn.Module:
    """The network with the weights of a file; with random ones where ``values`` is empty.

    Auxiliary heads are there where the file has them; the number of classes follows the shapes. source: the file.
    """
    with _fits(name, source):
        values = _renamed(values)
        network = _built(name, values, _guessed_classes(values))
        if not values:
            return network
        values = plain_names(values, network.state_dict())
        classes = _classes(network, values, _guessed_classes(values))
        if classes is not None:
            network = _built(name, values, classes)
        _fill(network, values)
    return network


def _built(name: str, values: dict[str, Tensor], classes: int) -> nn.Module:
    """The network with random weights, and the heads that the file has."""
    known = signature(models.get_model_builder(name)).parameters
    heads = {part for key in values for part in key.split(".")}
    options: dict[str, Any] = {}
    if values:
        options["num_classes"] = classes
    if "weights_backbone" in known:
        options["weights_backbone"] = None  # or torchvision would fetch some
    if "aux_loss" in known and values:
        options["aux_loss"] = "aux_classifier" in heads
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False  # their default prints a warning
        if values:
            options["aux_logits"] = bool(heads & {"aux1", "aux2", "AuxLogits"})
    if name.startswith("vit_") and (side := _vit_side(values)):
        options["image_size"] = side
    return models.get_model(name, weights=None, **options)


def _vit_side(values: dict[str, Tensor]) -> int | None:
    """Side in pixels of the images that a vision transformer's positions are for."""
    by_end = {key.rpartition("encoder.")[2] if "encoder.pos" in key else key.rpartition("conv_")[2]: value
              for key, value in values.items() if key.endswith(("encoder.pos_embedding", "conv_proj.weight"))}
    positions, patches = by_end.get("pos_embedding"), by_end.get("proj.weight")
    if positions is None or patches is None or positions.ndim != 3 or patches.ndim != 4:
        return None
    return math.isqrt(max(positions.shape[1] - 1, 0)) * patches.shape[-1]


def _renamed(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights under today's names where a file has those that torchvision has given up."""
    renamed: OrderedDict[str, Tensor] = OrderedDict(
        (_OLD_DENSENET.sub(r"\1\2", key), value) for key, value in values.items())
    if hasattr(values, "_metadata"):
        renamed._metadata = values._metadata  # type: ignore[attr-defined]
    return renamed


def _guessed_classes(values: dict[str, Tensor]) -> int:
    """The length of the last weight, which is the last layer's bias in most networks."""
    last = next(reversed(values.values()), None)
    length = last.shape[0] if last is not None and last.ndim else 0
    return length if 0 < length <= MOST_CLASSES else 1000


def _classes(network: nn.Module, values: dict[str, Tensor], built: int) -> int | None:
    """The number of classes that the file's shapes ask for; None where those of the network fit, or nothing tells.

    built: that of the network. The last layers have one row a class, or a whole number of them.
    """
    found = set()
    for key, own in network.state_dict().items():
        shape = values[key].shape if key in values else own.shape
        if shape != own.shape and shape[1:] == own.shape[1:] and own.ndim and own.shape[0] % built == 0:
            found.add(shape[0] / (own.shape[0] // built))
    number = int(found.pop()) if len(found) == 1 else 0
    return number if 0 < number <= MOST_CLASSES else None


def _fill(network: nn.Module, values: dict[str, Tensor]) -> None:
    """Copy the weights. Raises ValueError, which names them, where some are missing or too many."""
    if not hasattr(values, "_metadata"):
        values._metadata = {"": {"version": network._version}}  # type: ignore[attr-defined]
    missing, unknown = network.load_state_dict(values, strict=False)
    missing = [key for key in missing if not key.endswith(COUNTER)]
    for what, keys in (("no weight", missing), ("the unknown weight", unknown)):
        if keys:
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise ValueError(f"{what} '{keys[0]}'{more}")


@contextmanager
def _fits(name: str, source: str | os.PathLike) -> Iterator[None]:
    """Inside: what torch says of weights that do not fit becomes an InputError in one line."""
    try:
        yield
    except InputError:
        raise
    except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        reason = shorten(str(error).partition("\n\t")[2] or str(error), LONGEST_REASON, placeholder=" …")
        raise InputError(f"{source}: weights that do not fit {name} ({reason})") from None
