"""Layers of the networks of torchvision, for comparison with the concept filters of IBC."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from ibc.dissection.encoders import HookedEncoder
from ibc.dissection.settings import IMAGENET
from ibc.dissection.torchvision_weights import filled_network, is_file_of, published_network, published_of
from ibc.errors import InputError, input_error
from ibc.pretrained import fetch_weights
from ibc.state_dict import state_dict_of
from ibc.torch_file import read_torch_file
from ibc.train_log import warn


def torchvision_encoder(name: str, layers: Sequence[str], weights: str | None) -> HookedEncoder:
    """A torchvision network with random weights (None), the published ones (``IMAGENET``) or those of a file.

    The file holds what ``state_dict_of`` finds; the number of classes follows it. A file that torchvision publishes is
    read as torchvision reads it. Raises InputError where name, layer or weights do not fit, or cannot be had.
    """
    _check_kind(name)
    torch.manual_seed(0)  # random weights are the same in every run
    if weights is None:
        network = filled_network(name, {}, name)
    elif weights == IMAGENET:
        published = published_of(name)
        if not published:
            raise input_error("--weights", f"{IMAGENET}, but torchvision has no weights of {name}", "a file")
        values, source = fetch_weights(published[0].url, name, "give a file by --weights FILE")
        network = published_network(name, published[0], values, source)
    else:
        values = state_dict_of(read_torch_file(weights), weights)
        network = _from_file(name, values, weights)
    if any(isinstance(module, nn.Conv3d) for module in network.modules()):
        raise input_error("--model", f"{name}, a network for videos", "one for images")
    return TorchvisionEncoder(network, layers)


def _from_file(name: str, values: dict[str, Tensor], weights: str) -> nn.Module:
    """The network with the weights of a file, which may be one that torchvision publishes."""
    for published in published_of(name):
        if is_file_of(published, weights):
            try:
                return published_network(name, published, values, weights)
            except InputError:  # other weights under the name of the published ones
                break
    network = filled_network(name, values, weights)
    if hasattr(network, "transform_input"):
        warn(f"{name} takes images as ImageNet's networks do (transform_input off), since {weights} is not a file of "
             "torchvision; under the name of one, it is read as torchvision reads it")
    return network


class TorchvisionEncoder(HookedEncoder):
    """Named layers of a torchvision network; one that finds objects normalises and enlarges its images itself."""

    def __init__(self, module: nn.Module, layers: Sequence[str]):
        super().__init__(module, layers)
        self.normalises = isinstance(getattr(module, "transform", None), GeneralizedRCNNTransform)

    def fingerprint(self) -> str:
        """A hash of architecture, weights and layers; of what the network does to its input too, where it does."""
        scales = self.normalises or getattr(self.module, "transform_input", False)
        return super().fingerprint() + " scaled inside" * bool(scales)


def _check_kind(name: str) -> None:
    """Raise InputError unless torchvision has a network of this name, which takes single images in floating point."""
    present = models.list_models()
    if name not in present:
        near = [item for item in present if name[:4].lower() in item] or present
        raise input_error("--model", f"'{name}'", "a torchvision model", f"for example {', '.join(near[:8])}")
    if name.startswith("quantized_"):
        raise input_error("--model", f"{name}, a network of whole numbers", "one in floating point",
                          f"take {name.removeprefix('quantized_')}")
    if name.startswith("raft_"):
        raise input_error("--model", f"{name}, which takes pairs of images", "one for single images")
