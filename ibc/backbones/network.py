"""IBC's heads on any backbone: the same calls, and the same names of heads, as ``ibc.network`` has for AlexNet.

One trunk feeds both branches. The codes are a linear layer on the pooled maps, the concept filters are 1 x 1
convolutions on the maps: filter k and bit k look at the same D channels, the filter at each place, the bit at the mean
of all. Both see the channels less ``centre``: where the trunk is frozen, that is their mean over the training images,
since there is nothing to learn from what all images share. The real-valued branch is a linear layer on the pooled,
gated concept maps. Maps may be of any size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibc.backbones.backbone import Backbone
from ibc.backbones.table import BACKBONES
from ibc.config import ALEXNET, ModelConfig
from ibc.errors import input_error
from ibc.network import IBC, Outputs, Prediction, initialise_linear
from ibc.normalise import MEAN, STD


class BackboneStyle(nn.Module):
    """Trunk and heads, under the official names of the parts that do the same in AlexNet's ``EncoderStyle``."""

    def __init__(self, backbone: Backbone, model: ModelConfig):
        super().__init__()
        self.frozen = model.freeze == "backbone"
        width, bits = backbone.width, model.code_len
        self.conv_basic = backbone.trunk()
        self.conv_last = nn.Conv2d(width, bits, 1)
        self.pre_hash_layer = nn.Dropout(model.dropout)
        self.hash_layer = nn.Linear(width, bits)
        self.centre: Tensor
        self.register_buffer("centre", torch.zeros(width))
        self.classifier = nn.Dropout(model.dropout)
        self.real_prediction = Prediction(bits, model.class_num)
        self.hash_prediction = Prediction(bits, model.class_num)

    def train(self, mode: bool = True) -> BackboneStyle:
        """Training mode, or not. A frozen trunk stays as it is in use: its normalisation learns nothing."""
        super().train(mode)
        if self.frozen:
            self.conv_basic.eval()
        return self


class BackboneNetwork(IBC):
    """IBC on a backbone of the table. Images are normalised as for AlexNet; the backbone's own scale is set inside."""

    enc_style: BackboneStyle  # type: ignore[assignment]

    def __init__(self, model: ModelConfig, init: str | None = "kaiming"):
        """init: as for ``IBC``; the trunk starts as its authors start it."""
        nn.Module.__init__(self)
        self.name, self.backbone = model.backbone, BACKBONES[model.backbone]
        self.GRM = nn.Parameter(torch.rand(model.class_num, model.code_len))
        self.enc_style = BackboneStyle(self.backbone, model)
        if init is not None:
            heads = self.enc_style
            nn.init.kaiming_normal_(heads.conv_last.weight, nonlinearity="relu")
            assert heads.conv_last.bias is not None
            nn.init.zeros_(heads.conv_last.bias)
            for linear in (heads.hash_layer, heads.real_prediction.fc, heads.hash_prediction.fc):
                initialise_linear(linear, init)

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images -> (B, D, h, w)."""
        return self.enc_style.conv_basic(own_scale(images, self.backbone))

    def hash_logits(self, features: Tensor) -> Tensor:
        """(B, D, h, w) -> (B, K) outputs of the hash layer."""
        heads = self.enc_style
        return heads.hash_layer(heads.pre_hash_layer(features.mean(dim=(2, 3)) - heads.centre)).to(self.GRM.dtype)

    def maps_from(self, features: Tensor) -> Tensor:
        """(B, D, h, w) -> (B, K, h, w) concept maps, at least 0."""
        heads = self.enc_style
        assert heads.conv_last.bias is not None
        bias = heads.conv_last.bias - heads.conv_last.weight.flatten(1) @ heads.centre
        return F.relu(F.conv2d(features, heads.conv_last.weight, bias))

    def branches(self, features: Tensor, gates: Tensor | None = None) -> Outputs:
        """Both branches, from the trunk's (B, D, h, w) on; gates as in ``forward``."""
        heads, maps = self.enc_style, self.maps_from(features)
        pooled = maps.mean(dim=(2, 3), dtype=self.GRM.dtype)
        real_logits = heads.real_prediction(heads.classifier(pooled if gates is None else pooled * gates))
        return Outputs(self.codes_from(features), maps, real_logits.to(self.GRM.dtype))

    def idle(self) -> list[nn.Module]:
        """What is never trained: a frozen trunk."""
        return [self.enc_style.conv_basic] if self.enc_style.frozen else []


def own_scale(images: Tensor, backbone: Backbone) -> Tensor:
    """(B, 3, H, W) images that ``ibc.normalise.normalise`` gave -> as the backbone wants them normalised."""
    if (backbone.mean, backbone.std) == (MEAN, STD):
        return images
    # Numbers, not tensors: a tensor would have to be copied to a GPU for every batch.
    colours = [(images[:, number] * (scale / own) + (mean - own_mean) / own) for number, (mean, scale, own_mean, own)
               in enumerate(zip(MEAN, STD, backbone.mean, backbone.std, strict=True))]
    return torch.stack(colours, dim=-1).permute(0, 3, 1, 2)


def make_network(model: ModelConfig, init: str | None = "kaiming") -> IBC:
    """The network of a configuration with random weights; init as for ``IBC``.

    Raises InputError where the backbone needs a package that is not installed.
    """
    if model.backbone == ALEXNET:
        return IBC(model, init)
    if model.backbone not in BACKBONES:  # a configuration that was not read from a file
        raise input_error("model.backbone", model.backbone, f"one of {ALEXNET}, {', '.join(BACKBONES)}")
    return BackboneNetwork(model, init)
