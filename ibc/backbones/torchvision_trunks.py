"""The networks of torchvision as backbones, each with the weights of its first ImageNet training."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ibc.backbones.backbone import Backbone
from ibc.errors import input_error

_RESNET_HEAD = ("avgpool", "fc")


def _network(name: str) -> nn.Module:
    from torchvision import models  # noqa: PLC0415 - 1 s to load, and AlexNet needs none of it

    return models.get_model(name, weights=None)


def _parts(network: nn.Module, kept: Callable[[str], bool]) -> nn.Sequential:
    """The parts of a network whose names are ``kept``, one after the other."""
    return nn.Sequential(OrderedDict((name, part) for name, part in network.named_children() if kept(name)))


def _vgg(layers: str) -> nn.Module:
    """The convolutions of a VGG network, (B, 512, H / 32, W / 32); its classifier, nine tenths of it, is not built."""
    from torchvision.models.vgg import cfgs, make_layers  # noqa: PLC0415 - 1 s to load, and AlexNet needs none of it

    return nn.Sequential(OrderedDict(features=make_layers(cfgs[layers])))


def _resnet(name: str) -> nn.Module:
    """A ResNet up to its pooling, (B, D, H / 32, W / 32)."""
    return _parts(_network(name), lambda part: part not in _RESNET_HEAD)


def _convnext(name: str) -> nn.Module:
    """A ConvNeXt with the normalisation of channels that stands before its classifier, (B, D, H / 32, W / 32)."""
    network = _network(name)
    network.classifier = nn.Sequential(network.get_submodule("classifier.0"))
    return _parts(network, lambda part: part != "avgpool")


class PatchTokens(nn.Module):
    """A vision transformer whose patch tokens are a map, (B, D, H / 16, W / 16). The class token is left out."""

    def __init__(self, network: Any):
        super().__init__()
        self.class_token, self.conv_proj, self.encoder = network.class_token, network.conv_proj, network.encoder

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, D, h, w). Raises InputError for images of another size than the positions are for."""
        patches = self.conv_proj(images)  # (B, D, h, w)
        places = self.encoder.pos_embedding.shape[1] - 1
        height, width = patches.shape[-2:]
        if height * width != places or height != width:
            side = math.isqrt(places) * self.conv_proj.stride[0]
            raise input_error("crop_image_height", f"images of {images.shape[-2]} x {images.shape[-1]} pixels",
                              f"{side} x {side} for a vision transformer")
        tokens = patches.flatten(2).transpose(1, 2)  # (B, h w, D)
        tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1)
        return self.encoder(tokens)[:, 1:].transpose(1, 2).unflatten(2, (height, width))


def _vision_transformer(name: str) -> nn.Module:
    return PatchTokens(_network(name))


def _url(name: str) -> str:
    from torchvision.models import get_model_weights  # noqa: PLC0415 - 1 s to load, and AlexNet needs none of it

    return get_model_weights(name)["IMAGENET1K_V1"].url


def _entry(title: str, name: str, width: int, trunk: Callable[[], nn.Module]) -> Backbone:
    return Backbone(title, width, 224, trunk, url=partial(_url, name))


VGG16 = _entry("VGG-16", "vgg16", 512, partial(_vgg, "D"))
RESNET18 = _entry("ResNet-18", "resnet18", 512, partial(_resnet, "resnet18"))
RESNET50 = _entry("ResNet-50", "resnet50", 2048, partial(_resnet, "resnet50"))
CONVNEXT_TINY = _entry("ConvNeXt-Tiny", "convnext_tiny", 768, partial(_convnext, "convnext_tiny"))
VIT_B_16 = _entry("ViT-B/16", "vit_b_16", 768, partial(_vision_transformer, "vit_b_16"))
