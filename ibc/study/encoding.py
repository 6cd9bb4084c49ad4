"""The test list as codes and pooled concept maps: from its images, or from a frozen backbone's kept features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ibc.accelerate.trunk import for_inference
from ibc.codes import CodeSet
from ibc.config import Config
from ibc.data.loader import encoding_batches, images_for_testing
from ibc.frozen.features import PART, kept_features
from ibc.frozen.features_file import FeaturesFile
from ibc.network import IBC
from ibc.normalise import normalise
from ibc.objectives.table import OBJECTIVES


def kept_test_features(model: IBC, config: Config, folder: Path, device: torch.device) -> FeaturesFile:
    """The kept features of the centres of the test images, as ``extract`` would crop them; computed if need be."""
    own = replace(config, new_size=config.test_size, new_size_a=None, model=replace(config.model, views=1))
    return kept_features(model, own, images_for_testing(config), folder, device, shared=True)


@torch.inference_mode()
def encode_test_list(model: IBC, config: Config, device: torch.device, features: Path | None, *,
                     post_hoc: bool) -> tuple[CodeSet, np.ndarray | None]:
    """The codes, and (N, K) the mean of each concept map of the same images, where the model has filters.

    features: folder of the kept features of a frozen backbone; None: the images are read. post_hoc: neither rule
    matrix nor filters were trained.
    """
    fast = for_inference(model)
    codes, pooled, places = [], [], []
    for maps, numbers in _features(fast, config, device, features):
        codes.append(fast.codes_from(maps).float().cpu())
        pooled.append(fast.maps_from(maps).float().mean(dim=(2, 3)).cpu())
        places.append(numbers)
    kept = images_for_testing(config).subset(torch.cat(places).numpy())
    kind = OBJECTIVES[config.objective]
    grm = model.grm.detach().float().cpu().numpy() if kind.HAS_GATES and not post_hoc else None
    found = CodeSet(torch.cat(codes).numpy(), kept.labels, grm, kept.names)
    return found, torch.cat(pooled).numpy() if kind.HAS_FILTERS and not post_hoc else None


def _features(model: IBC, config: Config, device: torch.device, folder: Path | None) -> Iterator[tuple[Tensor, Tensor]]:
    """(B, D, h, w) of the next images, and (B,) their places in the test list."""
    if folder is None:
        for batch in encoding_batches(config, images_for_testing(config), device):
            yield model.features(normalise(batch.images.to(device))), batch.indices
        return
    kept = kept_test_features(model, config, folder, device)
    for places in torch.arange(kept.shape[0]).split(PART):
        yield kept.rows(places.tolist()).to(device, model.GRM.dtype), places
