"""Models as sources of feature maps: the IBC network, or any layer of a torchvision-style network.

An encoder takes normalised images and returns, for each of its layers, the units' maps and, where
there is one, the code whose bits are named after these units.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from inspect import signature
from pathlib import Path
from textwrap import shorten
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ibc.dissection.settings import IMAGENET
from ibc.errors import InputError, input_error
from ibc.network import IBC

CONCEPT_LAYER = "conv_last"  # official name of the layer whose filters are the concepts
LONGEST_REASON = 160         # letters of what torch says of weights that do not fit


class Response(NamedTuple):
    """maps: (B, K, h, w) float32. codes: (B, K) in (0, 1), bit k aligned with unit k, or None."""

    maps: Tensor
    codes: Tensor | None


def memory_format(device: torch.device) -> torch.memory_format:
    """The order in which whole 32-bit convolutions are fastest."""
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format


class Encoder:
    """Base of the three below: a module, the names of its layers, and the two steps to its responses.

    ``encode`` is the costly step, taken for a part of a batch at a time; ``responses`` sees what it
    gave for the whole batch.
    """

    def __init__(self, module: nn.Module, layers: Sequence[str]):
        self.module, self.layers = module, list(layers)

    def prepare(self, device: torch.device) -> None:
        """Move to the device, in the order of memory that its convolutions are fastest in; no dropout."""
        self.module.eval().to(device).to(memory_format=memory_format(device))

    def encode(self, images: Tensor) -> list[Tensor]:
        """(b, 3, H, W) float32 -> tensors whose first axis is b."""
        raise NotImplementedError

    def responses(self, encoded: list[Tensor]) -> list[Response]:
        """One Response a layer, from the tensors of ``encode``, those of all parts joined."""
        return [Response(maps, None) for maps in encoded]

    def fingerprint(self) -> str:
        """A hash of the architecture, the weights and the layers."""
        digest = hashlib.sha256(f"{type(self).__name__}\0{self.module}\0{self.layers}\0".encode())
        for name, value in self.module.state_dict().items():
            if not _unused(self, name):
                digest.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
                digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()


def _unused(encoder: Encoder, name: str) -> bool:
    """Weights of the IBC network that neither maps nor codes depend on, and second names of the others."""
    return isinstance(encoder, IBCEncoder) and not name.startswith(
        ("enc_style.conv_basic.", "enc_style.conv_last.", "enc_style.pre_hash_layer.", "enc_style.hash_layer."))


class IBCEncoder(Encoder):
    """The concept filters of an IBC network, with its codes; one pass through the trunk gives both."""

    module: IBC

    def __init__(self, module: IBC):
        super().__init__(module, [CONCEPT_LAYER])

    def encode(self, images: Tensor) -> list[Tensor]:
        return [self.module.features(images)]

    def responses(self, encoded: list[Tensor]) -> list[Response]:
        return [Response(self.module.maps_from(encoded[0]), self.module.codes_from(encoded[0]))]


class HookedEncoder(Encoder):
    """Outputs of named layers of any network."""

    def __init__(self, module: nn.Module, layers: Sequence[str]):
        """Raises InputError where the network has no layer of that name."""
        super().__init__(module, layers)
        present = dict(module.named_modules())
        for name in layers:
            if not name or name not in present:
                near = ", ".join(item for item in present if item and item.count(".") <= name.count("."))
                raise input_error("--layer", f"'{name}'", f"a layer of {type(module).__name__}", f"choose among {near}")
            present[name].register_forward_hook(self._keep(name))
        self._units_last = {name for name in layers if _units_last(module, present[name], name)}
        self._seen: dict[str, Tensor] = {}

    def _keep(self, name: str) -> Callable:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            self._seen[name] = output.clone()  # a later layer may work in place
        return hook

    def encode(self, images: Tensor) -> list[Tensor]:
        self._seen.clear()
        self.module(images)
        for name in self.layers:
            output = self._seen.get(name)
            if not isinstance(output, Tensor) or output.ndim != 4:
                raise input_error("--layer", f"'{name}', whose output is not (images, units, height, width)",
                                  "a convolutional layer")
            if name in self._units_last:
                raise input_error("--layer", f"'{name}', whose output is (images, height, width, units)",
                                  "(images, units, height, width)", "in a Swin transformer, take --layer permute")
        return [self._seen[name] for name in self.layers]


def _units_last(network: nn.Module, layer: nn.Module, name: str) -> bool:
    """Whether the layer gives (images, height, width, units), as far as types tell."""
    swin = type(network).__name__ == "SwinTransformer" and name.partition(".")[0] in ("features", "norm")
    return type(layer) is nn.LayerNorm or isinstance(layer, nn.Linear) or (swin and not isinstance(layer, nn.Conv2d))


class PlainEncoder(Encoder):
    """A module whose own output is the feature maps."""

    def __init__(self, module: nn.Module):
        super().__init__(module, ["features"])

    def encode(self, images: Tensor) -> list[Tensor]:
        return [self.module(images)]


def as_encoder(model: nn.Module | Encoder) -> Encoder:
    """An IBC network, a module that returns feature maps, or an Encoder as it is."""
    if isinstance(model, Encoder):
        return model
    return IBCEncoder(model) if isinstance(model, IBC) else PlainEncoder(model)


def torchvision_encoder(name: str, layers: Sequence[str], weights: str | None) -> HookedEncoder:
    """A torchvision model with random weights (None), the published ones (``IMAGENET``) or those of a file.

    The file holds a state dict, bare or under 'state_dict'; the number of classes follows it.
    Raises InputError where name, layer or weights do not fit, or cannot be had.
    """
    import torchvision.models as zoo

    from ibc.checkpoint import read_state_dict
    from ibc.pretrained import fetch_weights

    if name not in zoo.list_models():
        near = [item for item in zoo.list_models() if name[:4].lower() in item] or zoo.list_models()
        raise input_error("--model", f"'{name}'", "a torchvision model", f"for example {', '.join(near[:8])}")
    torch.manual_seed(0)  # random weights are the same in every run
    values: dict[str, Tensor] = {}
    if weights == IMAGENET:
        published = zoo.get_model_weights(name)
        chosen = getattr(published, "IMAGENET1K_V1", None) or next(iter(published), None)
        if chosen is None:
            raise input_error("--weights", f"{IMAGENET}, but torchvision has no weights of {name}", "a file")
        values, weights = fetch_weights(chosen.url, name, "give a file by --weights FILE")
    elif weights is not None:
        values = {key.removeprefix("module."): value for key, value in read_state_dict(weights).items()}
    try:
        options: dict[str, Any] = {"num_classes": list(values.values())[-1].shape[0]} if values else {}
        if "weights_backbone" in signature(zoo.get_model_builder(name)).parameters:
            options["weights_backbone"] = None  # or torchvision would fetch some
        if name in ("googlenet", "inception_v3"):
            options["init_weights"] = False  # its own way comes with an announcement on stderr
        model = zoo.get_model(name, weights=None, **options)
        if values:
            model.load_state_dict(values)
    except (RuntimeError, IndexError, TypeError, ValueError) as error:
        reason = shorten(str(error).partition("\n\t")[2] or str(error), LONGEST_REASON, placeholder=" …")
        raise InputError(f"{Path(weights or name)}: weights that do not fit {name} ({reason})") from None
    if any(isinstance(module, nn.Conv3d) for module in model.modules()):
        raise input_error("--model", f"{name}, a network for videos", "one for pictures")
    return HookedEncoder(model, layers)
