"""Features of the training images: computed once, kept in a file that is named by all that they depend on.

A list of images and a network flow in; batches whose "images" are features flow out, in the order that training from
pixels would have. On a CPU that multiplies in bfloat16 the trunk does so.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ibc.accelerate.trunk import for_inference
from ibc.backbones.network import BackboneNetwork
from ibc.checkpoint import TRUNK, weights_digest
from ibc.config import Config
from ibc.data.batch import Batch
from ibc.data.list_file import ImageList
from ibc.data.loader import TrainingOrder, training_order, view_batches
from ibc.data.zip_folder import split
from ibc.files import only_writer
from ibc.frozen.features_file import DTYPE, FeaturesFile, FeaturesWriter
from ibc.memory import lower_on_memory_error
from ibc.network import IBC
from ibc.normalise import normalise
from ibc.processes import any_process, is_main
from ibc.progress import Progress
from ibc.screen import show

FORMAT = 1  # part of every key: raise it when the same inputs come to give other features
PART = 32   # images encoded at once
POOLED_PART = 256     # images whose features are read at once
CENTRE_IMAGES = 2000  # at most, evenly spread: the mean of more is the same
KEY_LETTERS = 16
OWN_NAME = re.compile(rf"[0-9a-f]{{{KEY_LETTERS}}}\.npy(\.part)?")


def frozen_batches(model: IBC, config: Config, images: ImageList, start: int, folder: Path, device: torch.device, *,
                   centre: bool = True, skip_bad: bool = False, shared: bool = False, rank: int = 0, size: int = 1
                   ) -> Iterator[Batch]:
    """As ``training_batches``, with kept features (B, D, h, w) float16 in place of the images.

    folder: where they are kept, and computed if they are not there yet; shared: by several runs. Epoch e takes version
    e mod ``model.views`` of every image. centre: the heads of ``model`` are fresh, and get the mean of the features.
    With ``skip_bad`` images that cannot be read are left out.
    """
    training_order(config, images, start, rank, size)  # refuses a list that is too short before any work
    features = kept_features(model, config, images, folder, device, skip_bad=skip_bad, shared=shared)
    good = np.flatnonzero(features.readable()[: len(images)])
    order = training_order(config, images.subset(good), start, rank, size)
    if centre and isinstance(model, BackboneNetwork):
        model.enc_style.centre.copy_(pooled_features(features, good[:: -(-len(good) // CENTRE_IMAGES)]).mean(dim=0))
    return _batches(features, order, images, good, config.model.views)


def _batches(features: FeaturesFile, order: TrainingOrder, images: ImageList, good: np.ndarray, views: int
             ) -> Iterator[Batch]:
    labels = torch.from_numpy(images.labels)
    for keys in order:
        places = good[[index for _, index in keys]]
        rows = places + np.array([epoch % views for epoch, _ in keys]) * len(images)
        indices = torch.from_numpy(places)
        yield Batch(features.rows(rows.tolist()), labels[indices], indices, [], None)


def kept_features(model: IBC, config: Config, images: ImageList, folder: Path, device: torch.device, *,
                  skip_bad: bool = False, shared: bool = False) -> FeaturesFile:
    """The features of every version of every image, row = version * images + image; from the file or into it.

    shared: several runs use the folder, so that other features in it stay, and one command at a time computes.
    Of several processes the main one computes. Raises InputError for an image that cannot be read, unless ``skip_bad``.
    """
    path = folder / f"{features_key(model, config, images, device)}.npy"
    if is_main():
        with only_writer(folder, math.inf) if shared else nullcontext():
            if path.exists():
                show(f"features of {len(images)} images: kept in {path}")
            else:
                with lower_on_memory_error("model.backbone", f"features of {PART} images at a time",
                                           "take a smaller one"):
                    _compute(model, config, images, path, device, skip_bad)
        for other in [] if shared else folder.glob("*.npy*"):
            if other != path and OWN_NAME.fullmatch(other.name):  # gigabytes that nothing reads
                other.unlink()
    any_process(0)  # the others wait until the file is there
    return FeaturesFile(path)


def pooled_features(features: FeaturesFile, rows: np.ndarray) -> Tensor:
    """(N, D) float32: the mean over the places of the maps of these rows."""
    parts = [features.rows(part.tolist()).float().mean(dim=(2, 3))
             for part in np.array_split(rows, max(1, -(-len(rows) // POOLED_PART)))]
    return torch.cat(parts)


@torch.inference_mode()
def _compute(model: IBC, config: Config, images: ImageList, path: Path, device: torch.device, skip_bad: bool) -> None:
    training = model.training
    encode = TrunkEncoder(model.eval(), device)
    views, count = config.model.views, len(images)
    _, channels, height, width = encode(torch.zeros(1, 3, *config.crop_size, dtype=torch.uint8, device=device)).shape
    with FeaturesWriter(path, (views * count, height, width, channels)) as file, \
            Progress(views * count, "features", initial=file.done) as bar:
        for view in range(file.done // count, views):
            first = file.done - view * count
            for batch in view_batches(config, images, view, range(first, count), PART, device, skip_bad=skip_bad):
                asked = min(PART, count - (file.done - view * count))
                rows = np.full((asked, height, width, channels), np.nan, DTYPE)
                if len(batch.images):
                    found = encode(batch.images).permute(0, 2, 3, 1).half().cpu().numpy()
                    # Of an augmented version, another image stands in for one that cannot be read.
                    places = batch.indices.numpy() - (file.done - view * count) if view == 0 else slice(None)
                    rows[places] = found
                file.append(rows)
                bar.update(asked)
        file.finish()
    model.train(training)


class TrunkEncoder:
    """(B, 3, H, W) uint8 images on ``device`` -> (B, D, h, w) features, without gradient."""

    def __init__(self, model: IBC, device: torch.device):
        """model: in eval mode."""
        self.network, self.device, self.bf16 = for_inference(model), device, multiplies_bf16(device)

    def __call__(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 -> (B, D, h, w)."""
        pixels = normalise(images.to(self.device)).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            return self.network.features(pixels)


def multiplies_bf16(device: torch.device) -> bool:
    """Whether ``device`` is a CPU with instructions for bfloat16."""
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return device.type == "cpu" and any(check is not None and check() for check in checks)


def features_key(model: IBC, config: Config, images: ImageList, device: torch.device) -> str:
    """What tells kept features from others: images, weights of the trunk, and every setting that changes a number."""
    views = config.model.views
    settings: dict[str, Any] = {
        "format": FORMAT, "backbone": config.model.backbone, "crop": config.crop_size, "size": config.train_size,
        "resize": config.resize, "decoder": config.decoder, "views": views, "bf16": multiplies_bf16(device),
        "device": device.type}
    if views > 1:
        settings |= {"seed": config.seed, "augmentation": config.crop}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(weights_digest(model, (TRUNK,)).encode())
    digest.update(str(images.digest()["names"]).encode())
    archives: dict[str, str] = {}
    for file in images.files:
        found = split(file)
        stamp = _stamp(file) if found is None else archives.setdefault(found[0], _stamp(found[0]))
        digest.update(stamp.encode())
    return digest.hexdigest()[:KEY_LETTERS]


def _stamp(file: str) -> str:
    """Size and time of a file; empty where there is none."""
    try:
        state = os.stat(file)
    except OSError:
        return ""
    return f"{state.st_size} {state.st_mtime_ns}\n"
