"""Published weights: AlexNet's for its two trunks (ImageNet's by torchvision, or Places365's), those of a backbone."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor, nn

from ibc.backbones.network import BackboneNetwork
from ibc.config import ModelConfig
from ibc.errors import input_error
from ibc.network import IBC
from ibc.state_dict import plain_names, state_dict_of
from ibc.torch_file import read_torch_file

COUNTER = "num_batches_tracked"  # what a normalisation counts in training only, and old files lack


def load_pretrained(model: IBC, config: ModelConfig) -> None:
    """Copy pretrained weights into both AlexNets of ``model``, or into its backbone, as ``config`` asks.

    The fresh layers (hash layer, conv_last, the classifiers, and fc1 where K is not 256) keep
    their start. Raises InputError where the file is missing or holds another network.
    """
    if config.pretrained == "none":
        return
    if isinstance(model, BackboneNetwork):
        _load_backbone(model, config)
        return
    weights, source = places_weights(config) if config.is_sun else imagenet_weights()
    encoder = model.enc_style
    with torch.no_grad():
        _copy(encoder.alexnet, weights, source)
        first, last = encoder.second_fc
        if first.weight.shape == weights["classifier.1.weight"].shape:
            _copy(first, _under(weights, "classifier.1."), source)
        _copy(last, _under(weights, "classifier.4."), source)


def _load_backbone(model: BackboneNetwork, config: ModelConfig) -> None:
    """Fill the trunk from the file of the configuration, of a package, or of torch's download cache."""
    entry, trunk = model.backbone, model.enc_style.conv_basic
    file = config.weights_file or (entry.file() if entry.file else None)
    if file is not None:
        weights, source = state_dict_of(read_torch_file(file), file), os.fspath(file)
    else:
        assert entry.url is not None
        weights, source = fetch_weights(entry.url(), entry.title, "name a file by --set model.weights_file=FILE")
    wanted = trunk.state_dict()
    weights = plain_names(weights, {name.partition(".")[0] for name in wanted})
    for name, target in wanted.items():
        value = weights.get(name)
        if value is None and name.endswith(COUNTER):
            continue
        if not isinstance(value, Tensor) or value.shape != target.shape:
            found = "no such weight" if value is None else f"shape {tuple(value.shape)}"
            raise input_error(source, f"{found} at '{name}'", f"{entry.title} with shape {tuple(target.shape)} there",
                              "check backbone and weights_file")
        if target.is_floating_point() and not value.isfinite().all():
            raise input_error(source, f"weights at '{name}' that are not finite", "finite numbers")
        with torch.no_grad():
            target.copy_(value)


def imagenet_weights() -> tuple[dict[str, Tensor], str]:
    """torchvision's AlexNet, from its download cache or fetched into it."""
    from torchvision.models import AlexNet_Weights  # noqa: PLC0415 - 1 s to load, and few runs need it

    return fetch_weights(AlexNet_Weights.IMAGENET1K_V1.url, "AlexNet",
                         "train from scratch with --set model.pretrained=none")


def fetch_weights(url: str, what: str, otherwise: str) -> tuple[dict[str, Tensor], str]:
    """Published weights and the file they lie in: torch's download cache, filled from ``url`` if need be.

    what, otherwise: words of the InputError raised where they cannot be had.
    """
    cached = Path(torch.hub.get_dir(), "checkpoints", os.path.basename(url))
    again = "delete it, so that it is fetched again"
    if cached.exists():
        return state_dict_of(read_torch_file(cached, remedy=again), cached), str(cached)
    try:
        weights = torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except (URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise input_error(None, f"no pretrained {what} and no way to fetch it ({reason})",
                          f"the file {os.path.basename(url)}",
                          f"put it at {cached} (from {url}), or {otherwise}") from None
    except OSError:
        raise
    except Exception as error:  # of what is no torch file, torch's reader stumbles over anything
        raise input_error(cached, f"an unusable file ({type(error).__name__}: {error})", f"torchvision's {what}",
                          again) from None
    return weights, str(cached)


def places_weights(config: ModelConfig) -> tuple[dict[str, Tensor], str]:
    """The Places365 AlexNet of ``weights_file``: a dict with ``state_dict``, ``module.`` in its keys."""
    if config.weights_file is None:
        raise input_error(None, "is_sun: true and no weights_file", "the Places365 AlexNet of 365 classes",
                          "set model.weights_file to alexnet_places365.pth.tar, or model.pretrained to none")
    weights = state_dict_of(read_torch_file(config.weights_file), config.weights_file)
    return plain_names(weights, ("features", "classifier")), config.weights_file


def _under(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def _copy(module: nn.Module, weights: dict[str, Tensor], source: str) -> None:
    for name, target in module.state_dict().items():
        value = weights.get(name)
        if value is None or value.shape != target.shape:
            found = "no such weight" if value is None else f"shape {tuple(value.shape)}"
            raise input_error(source, f"{found} at '{name}'", f"an AlexNet with shape {tuple(target.shape)} there",
                              "check weights_file and is_sun")
        target.copy_(value)
