"""The backbones by the name that a configuration gives them. AlexNet is not among them: see ``ibc.network``."""

from __future__ import annotations

from ibc.backbones.backbone import Backbone
from ibc.backbones.efficientnet_lite import EFFICIENTNET_LITE0, EFFICIENTNET_LITE2
from ibc.backbones.torchvision_trunks import CONVNEXT_TINY, RESNET18, RESNET50, VGG16, VIT_B_16

BACKBONES: dict[str, Backbone] = {
    "vgg16": VGG16,
    "resnet18": RESNET18,
    "resnet50": RESNET50,
    "convnext_tiny": CONVNEXT_TINY,
    "vit_b_16": VIT_B_16,
    "efficientnet_lite0": EFFICIENTNET_LITE0,
    "efficientnet_lite2": EFFICIENTNET_LITE2,
}
