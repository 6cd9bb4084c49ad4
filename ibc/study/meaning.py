"""What the bits and filters of a run mean: the attribute that a bit tells best, the concept that names its filter."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ibc.config import Config
from ibc.data.broden.dataset import Broden
from ibc.dissection.encoders import IBCEncoder
from ibc.dissection.outputs import summary
from ibc.dissection.pipeline import dissect
from ibc.dissection.settings import DissectionSettings
from ibc.labels import MISSING
from ibc.network import IBC

LEAST_IMAGES = 4  # with an attribute and without it, in either half


def bits_and_attributes(codes: np.ndarray, attributes: np.ndarray) -> dict[str, Any] | None:
    """How well single bits tell attributes of images that did not choose the attribute.

    codes: (N, K) sigmoid values. attributes: (N, A), 1 where an image has one, 2 where nobody knows, else it has not.
    Even rows choose for each bit the attribute of the largest absolute correlation, and its sign; odd rows judge.
    "correlation" and "average_precision" (area under the precision-recall curve) are those of the odd rows, a list of K
    each with null for a constant bit; "chance" is the share of images with the attribute, the area of a bit that tells
    nothing. Means are over the other bits. None where no attribute has ``LEAST_IMAGES`` with and without it in both
    halves.
    """
    from sklearn.metrics import average_precision_score  # noqa: PLC0415 - importing it sets environment variables

    flags, known = attributes == 1, attributes != MISSING
    halves = [slice(0, None, 2), slice(1, None, 2)]
    usable = [place for place in range(attributes.shape[1]) if all(
        LEAST_IMAGES <= flags[half, place].sum() <= known[half, place].sum() - LEAST_IMAGES for half in halves)]
    if not usable:
        return None
    choosing, judging = (
        [(codes[half][known[half, place]], flags[half, place][known[half, place]]) for place in usable]
        for half in halves)
    chosen = np.stack([correlations(values, own) for values, own in choosing], axis=1)  # (K, attributes)
    best = np.abs(chosen).argmax(axis=1)
    found: dict[str, list[float | None]] = {"correlation": [], "average_precision": [], "chance": []}
    for bit, place in enumerate(best):
        values, own = judging[place]
        sign = np.sign(chosen[bit, place])
        constant = sign == 0 or np.ptp(values[:, bit]) == 0
        found["correlation"].append(None if constant else float(sign * correlations(values[:, bit : bit + 1], own)[0]))
        found["average_precision"].append(None if constant else float(average_precision_score(
            own if sign > 0 else ~own, values[:, bit])))
        found["chance"].append(None if constant else float((own if sign > 0 else ~own).mean()))
    means = {}
    for name, values in found.items():
        told = [value for value in values if value is not None]
        means[f"mean_{name}"] = float(np.mean(told)) if told else None
    return {"attributes": len(usable), "told": len({usable[place] for place in best}), **means, **found}


def correlations(values: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """(K,) Pearson's correlation of each column of (N, K) values with (N,) flags; 0 for a constant column."""
    a = values - values.mean(axis=0, dtype=np.float64)
    b = flags - flags.mean()
    norms = np.linalg.norm(a, axis=0) * np.linalg.norm(b)
    return a.T @ b / np.where(norms > 0, norms, np.inf)


def dissection_scores(model: IBC, broden: Broden, config: Config, device: torch.device) -> dict[str, Any]:
    """Dissect the concept filters on Broden-format images, at the size of training.

    Counts of units and of different concepts by the rules of ``ibc dissect``, and the mean best IoU.
    """
    settings = DissectionSettings(image_size=config.crop_size, device=device.type)
    tally = dissect(IBCEncoder(model), broden, settings)
    return {"broden": broden.folder.name, "images": tally.images, "units": len(tally.units),
            "mean_iou": float(tally.score.mean()), "best_iou": float(tally.score.max()),
            **{rule: own["all"] for rule, own in summary(tally, settings.score_threshold).items()}}
