"""The IBC network: an AlexNet trunk that feeds a hash layer and a bank of concept filters.

Images (B, 3, H, W), normalised as ``ibc.normalise.normalise`` does, go in; K-bit codes and K concept maps come out.
Module names, and the names that share one tensor, are those of the official implementation, so checkpoints load in both
directions. ``ibc.accelerate`` computes the same faster; ``ibc.backbones`` has other trunks than AlexNet's.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibc.config import ALEXNET, ModelConfig

MAP_SIDE = 6  # features of a 224 or 227 px image are 256 x 6 x 6; other sizes are pooled to it
FEATURES = 256 * MAP_SIDE * MAP_SIDE
IMAGENET_CLASSES, PLACES_CLASSES = 1000, 365


class AlexNet(nn.Module):
    """AlexNet in torchvision's layout (same parameter names), without its adaptive pooling."""

    def __init__(self, outputs: int, fc_dim: int, dropout: float):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(FEATURES, fc_dim), nn.ReLU(inplace=True),
            nn.Dropout(dropout), nn.Linear(fc_dim, fc_dim), nn.ReLU(inplace=True),
            nn.Linear(fc_dim, outputs),
        )


class Prediction(nn.Module):
    """A linear classifier under the official name ``fc``."""

    def __init__(self, inputs: int, class_num: int):
        super().__init__()
        self.fc = nn.Linear(inputs, class_num)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) -> (N, C) logits."""
        return self.fc(x)


class EncoderStyle(nn.Module):
    """Everything but the rule matrix, registered in the official order under the official names."""

    def __init__(self, model: ModelConfig):
        super().__init__()
        self.frozen = model.freeze == "backbone"
        outputs = PLACES_CLASSES if model.is_sun else IMAGENET_CLASSES
        bits, width, dropout = model.code_len, model.fc_dim, model.dropout
        self.alexnet = AlexNet(outputs, width, dropout)
        self.conv_basic = self.alexnet.features
        self.conv_last = nn.Conv2d(256, bits, 3, padding=1)
        maps = bits * MAP_SIDE * MAP_SIDE
        if maps == FEATURES:  # K = 256: the second AlexNet's classifier fits as it is
            self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(maps, width), *_fc_tail(width, dropout))
        else:
            self.fc1 = nn.Linear(maps, width)
            self.fc2 = nn.Sequential(*_fc_tail(width, dropout))
            self.classifier = nn.Sequential(nn.Dropout(dropout), self.fc1, self.fc2)
        self.pre_hash_layer = self.alexnet.classifier[:6]
        self.hash_layer = nn.Linear(width, bits)
        self.real_prediction = Prediction(width, model.class_num)
        self.hash_prediction = Prediction(bits, model.class_num)

    @property
    def second_fc(self) -> tuple[nn.Linear, nn.Linear]:
        """The two fully connected layers of the real-valued branch."""
        first, last = (module for module in self.classifier.modules() if isinstance(module, nn.Linear))
        return first, last


def _fc_tail(width: int, dropout: float) -> list[nn.Module]:
    return [nn.ReLU(inplace=True), nn.Dropout(dropout), nn.Linear(width, width), nn.ReLU(inplace=True)]


def pool_maps(maps: Tensor) -> Tensor:
    """Adaptive average pooling (B, C, h, w) -> (B, C, 6, 6), as two matrix products; 6 x 6 maps stay as they are.

    The averages of torch's adaptive_avg_pool2d, whose gradient on a GPU does not repeat bit for bit.
    """
    if maps.shape[-2:] == (MAP_SIDE, MAP_SIDE):
        return maps
    rows, columns = (_averages(side, maps) for side in maps.shape[-2:])
    return rows @ maps @ columns.T


def _averages(side: int, like: Tensor) -> Tensor:
    """(6, side): row i averages the span from floor(i side / 6) to ceil((i + 1) side / 6)."""
    place, row = torch.arange(side, device=like.device), torch.arange(MAP_SIDE, device=like.device)[:, None]
    first, last = row * side // MAP_SIDE, -(-(row + 1) * side // MAP_SIDE)
    return ((first <= place) & (place < last)).to(like.dtype) / (last - first)


class Outputs(NamedTuple):
    """What one training pass needs."""

    codes: Tensor        # (B, K) in (0, 1), never masked
    maps: Tensor         # (B, K, 6, 6), at least 0, before masking
    real_logits: Tensor  # (B, C) of the real-valued branch, masked where a mask was given


class IBC(nn.Module):
    """The network with its gated rule matrix.

    name: of its backbone, as in a configuration.
    Built with random weights: ``ibc.pretrained.load_pretrained`` or a checkpoint overwrites them.
    """

    name = ALEXNET

    def __init__(self, model: ModelConfig, init: str | None = "kaiming"):
        """``init`` starts the fresh linear layers: gaussian, xavier, kaiming, orthogonal, default.

        None leaves all start values unset, for a model that a checkpoint is about to fill.
        """
        super().__init__()
        self.GRM = nn.Parameter(torch.rand(model.class_num, model.code_len))
        self.enc_style = EncoderStyle(model)
        if init is not None:
            initialise(self.enc_style, init, model.trunk_init)

    @property
    def grm(self) -> Tensor:
        """Gated rule matrix G, (C, K) in [0, 1]: how much bit k counts for class c."""
        return self.GRM

    def idle(self) -> list[nn.Module]:
        """What is never trained: AlexNet's own classifier, which is in no group; a frozen trunk."""
        encoder = self.enc_style
        return [encoder.alexnet.classifier[6], *([encoder.conv_basic] if encoder.frozen else [])]

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images -> (B, 256, 6, 6)."""
        return pool_maps(self.enc_style.conv_basic(images))

    def hash_logits(self, features: Tensor) -> Tensor:
        """(B, 256, 6, 6) -> (B, K) outputs of the hash layer; bit k is 1 where number k is above 0."""
        return self.enc_style.hash_layer(self.enc_style.pre_hash_layer(features.flatten(1)))

    def codes_from(self, features: Tensor) -> Tensor:
        """(B, 256, 6, 6) -> (B, K) codes in (0, 1)."""
        return torch.sigmoid(self.hash_logits(features))

    def maps_from(self, features: Tensor) -> Tensor:
        """(B, 256, 6, 6) -> (B, K, 6, 6) concept maps, at least 0."""
        return F.relu(self.enc_style.conv_last(features))

    def encode(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, K) codes in (0, 1); the real-valued branch is not computed."""
        return self.codes_from(self.features(images))

    def concept_maps(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, K, 6, 6): the response of filter k, which bit k is aligned with."""
        return self.maps_from(self.features(images))

    def classify_codes(self, codes: Tensor) -> Tensor:
        """(N, K) codes, masked or not -> (N, C) logits of the code classifier."""
        return self.enc_style.hash_prediction(codes)

    def forward(self, images: Tensor, gates: Tensor | None = None) -> Outputs:
        """One pass through both branches.

        images: (B, 3, H, W). gates: (B, K) factors of the concept maps before the real-valued
        classifier, a row of G or ones (1 keeps a filter, 0 removes it); None: no mask.
        """
        return self.branches(self.features(images), gates)

    def branches(self, features: Tensor, gates: Tensor | None = None) -> Outputs:
        """``forward`` from the trunk's (B, 256, 6, 6) on."""
        maps = self.maps_from(features)
        gated = maps if gates is None else maps * gates[:, :, None, None]
        real_logits = self.enc_style.real_prediction(self.enc_style.classifier(gated.flatten(1)))
        return Outputs(self.codes_from(features), maps, real_logits)


def initialise(encoder: EncoderStyle, init: str, trunk_init: str = "default") -> None:
    """Start values of every layer that is not pretrained (the official rules).

    ``trunk_init: kaiming`` gives the backbones' layers He's rule instead of PyTorch's default.
    """
    first, last = encoder.second_fc
    fresh: list[nn.Module] = [encoder.conv_last]
    if trunk_init == "kaiming":
        fresh += [*encoder.conv_basic, *encoder.pre_hash_layer, last]
    for layer in fresh:
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and layer.bias is not None:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    if hasattr(encoder, "fc1") or trunk_init == "kaiming":  # fc1, K != 256, is fresh even beside a pretrained backbone
        nn.init.normal_(first.weight, std=0.01)
        nn.init.zeros_(first.bias)
    for linear in (encoder.hash_layer, encoder.real_prediction.fc, encoder.hash_prediction.fc):
        initialise_linear(linear, init)


def initialise_linear(layer: nn.Linear, init: str) -> None:
    """Start a fresh linear layer by the config key ``init``."""
    if init == "default":
        return
    if init == "gaussian":
        nn.init.normal_(layer.weight, std=0.02)
    elif init == "xavier":
        nn.init.xavier_normal_(layer.weight, gain=math.sqrt(2))
    elif init == "kaiming":
        nn.init.kaiming_normal_(layer.weight, a=0)
    elif init == "orthogonal":
        nn.init.orthogonal_(layer.weight, gain=math.sqrt(2))
    else:
        raise ValueError(f"init: {init}")
    nn.init.zeros_(layer.bias)


def alias_groups(model: nn.Module) -> list[list[str]]:
    """State-dict names that share one tensor, each group in state-dict order."""
    groups: OrderedDict[int, list[str]] = OrderedDict()
    for name, parameter in model.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
    return list(groups.values())
