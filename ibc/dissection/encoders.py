"""Networks as sources of feature maps: the IBC network, or any layer of another network.

An encoder takes normalised images. For each of its layers it returns the units' feature maps and, where there is one,
the code whose bits are named after these units.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ibc.accelerate.trunk import for_inference
from ibc.backbones.network import BackboneNetwork
from ibc.checkpoint import CODE_WEIGHTS, code_fingerprint
from ibc.errors import input_error
from ibc.network import IBC

CONCEPT_LAYER = "conv_last"  # official name of the layer whose filters are the concepts


class Response(NamedTuple):
    """What a layer answers to B images.

    maps: (B, K, h, w) float32. codes: (B, K) in (0, 1), bit k belongs to unit k; None for a network without codes.
    """

    maps: Tensor
    codes: Tensor | None


def memory_format(device: torch.device) -> torch.memory_format:
    """The memory format in which convolutions in full 32-bit precision are fastest on a device."""
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format


class Encoder:
    """Base class: a module and the names of its layers.

    ``encode`` is the expensive step and may get a part of a batch; ``responses`` gets what it returned for the whole
    batch.
    """

    normalises = False  # whether the module itself normalises images, which it takes in [0, 1]
    official = True     # whether the official tool, whose normalisation is that of its own networks, knows the network

    def __init__(self, module: nn.Module, layers: Sequence[str]):
        self.module, self.layers = module, list(layers)

    def prepare(self, device: torch.device) -> None:
        """Move the module to the device, in the fastest memory format, and switch dropout off."""
        self.module.eval().to(device).to(memory_format=memory_format(device))

    def encode(self, images: Tensor) -> list[Tensor]:
        """(b, 3, H, W) float32 -> tensors whose first axis is b."""
        raise NotImplementedError

    def responses(self, encoded: list[Tensor]) -> list[Response]:
        """One Response a layer, from the tensors of ``encode``, those of all parts of the batch joined."""
        return [Response(maps, None) for maps in encoded]

    def fingerprint(self) -> str:
        """A hash of architecture, weights and layers, as hex digits."""
        digest = hashlib.sha256(f"{type(self).__name__}\0{self.module}\0{self.layers}\0".encode())
        for name, value in self.module.state_dict().items():
            if self.matters(name):
                digest.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
                digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def model(self) -> str:
        """The fingerprint that codes files of this network hold too (``code_fingerprint``); empty without codes."""
        return ""

    def matters(self, name: str) -> bool:
        """Whether the responses depend on the weight of this name."""
        return True


class IBCEncoder(Encoder):
    """The concept filters of an IBC network, with its codes; one pass through the trunk gives both."""

    module: IBC

    def __init__(self, module: IBC):
        super().__init__(module, [CONCEPT_LAYER])
        self.network = module  # the same network, faster after ``prepare``
        self.official = not isinstance(module, BackboneNetwork)

    def prepare(self, device: torch.device) -> None:
        """Move the network to the device and take its fastest execution there; no dropout."""
        super().prepare(device)
        self.network = for_inference(self.module)

    def encode(self, images: Tensor) -> list[Tensor]:
        """(b, 3, H, W) -> [features (b, 256, 6, 6)]."""
        return [self.network.features(images)]

    def responses(self, encoded: list[Tensor]) -> list[Response]:
        """Concept maps (B, K, 6, 6) and codes (B, K)."""
        return [Response(self.network.maps_from(encoded[0]), self.network.codes_from(encoded[0]))]

    def model(self) -> str:
        """``ibc.checkpoint.code_fingerprint`` of the network."""
        return code_fingerprint(self.module)

    def matters(self, name: str) -> bool:
        """False for the classifiers, the rule matrix, and for the second names of shared weights."""
        return name.startswith(CODE_WEIGHTS)


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
        """(b, 3, H, W) -> maps (b, K, h, w) of each layer. Raises InputError where a layer gives something else."""
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
        """(b, 3, H, W) -> [maps (b, K, h, w)]."""
        return [self.module(images)]


def as_encoder(model: nn.Module | Encoder) -> Encoder:
    """An IBC network or a module that returns feature maps as an Encoder; an Encoder as it is."""
    if isinstance(model, Encoder):
        return model
    return IBCEncoder(model) if isinstance(model, IBC) else PlainEncoder(model)
