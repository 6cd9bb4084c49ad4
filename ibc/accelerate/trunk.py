"""The trunk, faster: the network's own parameters, AlexNet's in another order of the same steps.

``for_training`` and ``for_inference`` take an ``IBC`` and return one with the same calls, parameters and modules. Which
execution is the fastest is decided then, once, by the device.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibc.accelerate import kernels
from ibc.accelerate.folding import folded
from ibc.accelerate.pooling import max_pool
from ibc.backbones.network import BackboneNetwork, own_scale
from ibc.network import IBC, Outputs, pool_maps

# Order in which the trunk's layers run. ReLU after max pooling instead of before it gives the same maps and the same
# gradients, of a quarter of the values.
CPU_PART = 16  # images that a backbone other than AlexNet encodes at once on a CPU
POOLED_FIRST = (0, 2, 1, 3, 5, 4, 6, 7, 8, 9, 10, 12, 11)


def for_training(model: IBC, *, bf16: bool = False) -> IBC:
    """The same network, faster to train on the device that it lies on. bf16: layers in mixed precision."""
    if isinstance(model, BackboneNetwork):
        return _MixedBackbone(model) if bf16 else model
    return _PooledFirst(model, bf16)


def for_inference(model: IBC) -> IBC:
    """The same network, faster without gradient on the device that it lies on, with its weights of now.

    On a GPU, and of a backbone other than AlexNet, only without gradient.
    """
    if isinstance(model, BackboneNetwork):
        return _BackboneInParts(model)
    on_gpu = model.GRM.device.type == "cuda"
    return _Inferred(model) if on_gpu and torch.backends.cudnn.is_acceptable(model.GRM) else _PooledFirst(model)


class _SharedNetwork(IBC):
    """A network with the parameters and modules of another one."""

    def __init__(self, model: IBC):
        nn.Module.__init__(self)
        self.GRM, self.enc_style = model.GRM, model.enc_style
        self.train(model.training)


class _SharedBackbone(BackboneNetwork):
    """A network with the parameters and modules of another one."""

    def __init__(self, model: BackboneNetwork):
        nn.Module.__init__(self)
        self.name, self.backbone = model.name, model.backbone
        self.GRM, self.enc_style = model.GRM, model.enc_style
        self.train(model.training)


class _BackboneInParts(_SharedBackbone):
    """Without gradient: on a CPU a few images at a time, as fast as many, in a tenth of the memory, and folded."""

    def __init__(self, model: BackboneNetwork):
        super().__init__(model)
        trunk = model.enc_style.conv_basic
        self.trunk = folded(trunk, self.backbone.side) if model.GRM.device.type == "cpu" else trunk

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images -> (B, D, h, w)."""
        if images.is_cuda or len(images) <= CPU_PART:
            return self.trunk(own_scale(images, self.backbone))
        return torch.cat([self.trunk(own_scale(part, self.backbone)) for part in images.split(CPU_PART)])


class _MixedBackbone(_SharedBackbone):
    """In mixed precision; as ``_PooledFirst`` with bf16."""

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images -> (B, D, h, w)."""
        with torch.autocast(images.device.type, torch.bfloat16):
            return super().features(images)

    def hash_logits(self, features: Tensor) -> Tensor:
        """(B, D, h, w) -> (B, K) outputs of the hash layer."""
        with torch.autocast(features.device.type, torch.bfloat16):
            return super().hash_logits(features)

    def branches(self, features: Tensor, gates: Tensor | None = None) -> Outputs:
        """Both branches, from the trunk's (B, D, h, w) on."""
        with torch.autocast(features.device.type, torch.bfloat16):
            return super().branches(features, gates)


class _PooledFirst(_SharedNetwork):
    """Each ReLU after its pooling, pooling by our kernels where they run; with ``bf16`` in mixed precision.

    bf16: convolutions and linear layers multiply in bfloat16; codes, logits and all weights stay float32.
    """

    def __init__(self, model: IBC, bf16: bool = False):
        super().__init__(model)
        device = model.GRM.device
        self.bf16 = bf16
        self.blocked_stem = bf16 and device.type == "cuda"
        self.own_pooling = device.type == "cuda" and kernels.available()

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images -> (B, 256, 6, 6)."""
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.bf16):
            maps = images
            for number in POOLED_FIRST:
                layer = self.enc_style.conv_basic[number]
                if self.blocked_stem and number == 0 and isinstance(layer, nn.Conv2d):
                    maps = blocked_stem(maps, layer)
                elif self.own_pooling and isinstance(layer, nn.MaxPool2d):
                    maps = max_pool(maps)
                else:
                    maps = layer(maps)
            return pool_maps(maps)

    def hash_logits(self, features: Tensor) -> Tensor:
        """(B, 256, 6, 6) -> (B, K) outputs of the hash layer."""
        with torch.autocast(features.device.type, torch.bfloat16, enabled=self.bf16):
            return super().hash_logits(features).to(self.GRM.dtype)

    def branches(self, features: Tensor, gates: Tensor | None = None) -> Outputs:
        """Both branches, from the trunk's (B, 256, 6, 6) on."""
        with torch.autocast(features.device.type, torch.bfloat16, enabled=self.bf16):
            out = super().branches(features, gates)
        return out._replace(real_logits=out.real_logits.to(self.GRM.dtype))


class _Inferred(_SharedNetwork):
    """Without gradient on a GPU: cuDNN adds each bias and applies each ReLU while it writes a convolution.

    Two passes less over each convolution's output.
    """

    def __init__(self, model: IBC):
        super().__init__(model)
        self.own_pooling = kernels.available()

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised images -> (B, 256, 6, 6)."""
        maps = images
        for layer in self.enc_style.conv_basic:
            if isinstance(layer, nn.Conv2d):
                assert not isinstance(layer.padding, str)
                maps = torch.cudnn_convolution_relu(maps, layer.weight, layer.bias, layer.stride, layer.padding,
                                                    layer.dilation, layer.groups)
            elif isinstance(layer, nn.MaxPool2d) and self.own_pooling and _channels_last(maps):
                maps = max_pool(maps)
            elif not isinstance(layer, nn.ReLU):
                maps = layer(maps)
        return pool_maps(maps)


def _channels_last(maps: Tensor) -> bool:
    return maps.is_contiguous(memory_format=torch.channels_last)


def blocked_stem(images: Tensor, conv: nn.Conv2d) -> Tensor:
    """AlexNet's first convolution (11 x 11, stride 4, padding 2) on 4 x 4 blocks of pixels.

    The same sums: each block becomes 48 channels, the kernel grows to 12 x 12 with zeros and becomes 3 x 3, stride 1.
    Matrix units like 48 channels better than 3.
    """
    block, taps = 4, 3
    height, width = ((side + 2 * 2 - 11) // block + taps for side in images.shape[-2:])  # in blocks
    bottom, right = (block * count - side - 2 for count, side in zip((height, width), images.shape[-2:], strict=True))
    x = F.pad(images, (2, right, 2, bottom))
    x = x.reshape(len(x), 3, height, block, width, block).permute(0, 3, 5, 1, 2, 4).reshape(len(x), 48, height, width)
    kernel = F.pad(conv.weight, (0, 1, 0, 1)).reshape(64, 3, taps, block, taps, block)
    kernel = kernel.permute(0, 3, 5, 1, 2, 4).reshape(64, 48, taps, taps)
    return F.conv2d(x.contiguous(memory_format=torch.channels_last), kernel, conv.bias)
