"""The dissection table: how well every unit's masks match every concept, and what chance would give.

From the counts of pixels come IoU[u, l] = both / (activation + truth - both), the best concept of each unit and
category, and the best IoU that a unit reaches in each chance pairing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ibc.dissection.counting.counts import Counts

EPSILON = 1e-10  # the official tool adds it to the union, against division by 0
ENTRIES_AT_ONCE = 2**21  # of IoU tables over all pairings; bounds their memory


def iou_table(both: np.ndarray, activation: np.ndarray, truth: np.ndarray, primary: np.ndarray) -> np.ndarray:
    """IoU (..., L) float64 of units and labels.

    both: (..., L) pixels in mask and label. activation: (..., C) mask pixels of the images that show a category.
    truth: (L,) pixels of each label. primary: (L,) place of each label's category.
    """
    union = activation[..., primary] + truth - both
    return both / (union + EPSILON)


def best_by_chance(counts: Counts, truth: np.ndarray, primary: np.ndarray) -> np.ndarray:
    """(K, R) float64: the best IoU of each unit in each chance pairing."""
    best = np.zeros(counts.both.shape[:2])
    units = max(ENTRIES_AT_ONCE // (counts.both.shape[1] * counts.both.shape[2]), 1)
    for begin in range(0, len(best), units):
        part = slice(begin, begin + units)
        best[part] = iou_table(counts.both[part], counts.activation[part], truth, primary).max(axis=2)
    return best[:, 1:]


@dataclass
class Alignment:
    """How well filter k and bit k agree over N images; each (K,).

    correlation: float64, of the filter's mean response with the code value. bit_on: int64 images with bit 1.
    filter_on: int64 images with a response above the threshold. both_on: int64 images with both.
    """

    correlation: np.ndarray
    bit_on: np.ndarray
    filter_on: np.ndarray
    both_on: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """IoU of the two sets of images; 0 where both are empty."""
        return self.both_on / np.maximum(self.bit_on + self.filter_on - self.both_on, 1)


@dataclass
class Tally:
    """One layer's dissection: K units, L labels, C categories, N images, R chance pairings, T top images.

    units: (K,) int64 unit numbers, from 1. thresholds: (K,) float64. rank_error: of the thresholds, as a fraction of
    all values (0: exact). images: N. names: L label names. primary: (L,) places in ``categories``.
    both: (K, L), activation: (K, C), truth: (L,), pixels: (K,) int64 counts, as in ``counting.counts.Counts``.
    null: (K, R) float64 best IoU of each chance pairing.
    top_images: (K, T) int64 places in ``image_names``, where "" stands for none. top_peaks: (K, T) float32 maxima.
    top_maps: (K, T, h, w) float32. settings: those that can change a number. key: of model, data and settings.
    model: fingerprint of the network, as in the codes files of the same network; empty where it has no codes.
    """

    layer: str
    units: np.ndarray
    thresholds: np.ndarray
    rank_error: float
    categories: list[str]
    names: list[str]
    primary: np.ndarray
    both: np.ndarray
    activation: np.ndarray
    truth: np.ndarray
    pixels: np.ndarray
    null: np.ndarray
    top_images: np.ndarray
    top_peaks: np.ndarray
    top_maps: np.ndarray
    image_names: list[str]
    images: int
    alignment: Alignment | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    model: str = ""

    @cached_property
    def iou(self) -> np.ndarray:
        """(K, L) float64: IoU of every unit with every label."""
        return iou_table(self.both, self.activation, self.truth, self.primary)

    @cached_property
    def best_label(self) -> np.ndarray:
        """(K, C) int64: the label with the best IoU in each category, the first of equals; 0 where all are 0."""
        best = [np.where(self.primary == place, self.iou, 0).argmax(axis=1) for place in range(len(self.categories))]
        return np.stack(best, axis=1)

    @cached_property
    def best_iou(self) -> np.ndarray:
        """(K, C) float64: the IoU of ``best_label``."""
        return np.take_along_axis(self.iou, self.best_label, axis=1)

    @cached_property
    def category(self) -> np.ndarray:
        """(K,) int64: place of the category that names the unit; the later one of equals."""
        last = self.best_iou.shape[1] - 1
        return last - self.best_iou[:, ::-1].argmax(axis=1)

    @property
    def label(self) -> np.ndarray:
        """(K,) int64: the label that names the unit."""
        return np.take_along_axis(self.best_label, self.category[:, None], axis=1)[:, 0]

    @property
    def score(self) -> np.ndarray:
        """(K,) float64: IoU of ``label``."""
        return self.best_iou.max(axis=1)

    @property
    def chance(self) -> np.ndarray:
        """(K,) float64: the best IoU over all chance pairings; NaN without any."""
        return self.null.max(axis=1) if self.null.shape[1] else np.full(len(self.units), np.nan)

    @property
    def beats_chance(self) -> np.ndarray:
        """(K,) bool: score above every chance pairing; False without any."""
        return self.score > self.chance

    @property
    def by_score(self) -> np.ndarray:
        """(K,) rows by descending score, the higher unit first among equals."""
        return np.lexsort((-self.units, -self.score))

    def interpretable(self, rule: float | str) -> np.ndarray:
        """(K,) bool. rule: the least score, or "chance" for a score above every chance pairing."""
        return self.beats_chance if rule == "chance" else (self.score >= rule) & (self.score > 0)

    def coverage(self, rule: float | str) -> dict[str, tuple[int, int]]:
        """(interpretable units, distinct concepts) of each category, and of ``all``. rule: as in ``interpretable``."""
        chosen = self.interpretable(rule)
        found = {}
        for place, name in enumerate(self.categories):
            mine = chosen & (self.category == place)
            found[name] = (int(mine.sum()), len(set(self.label[mine].tolist())))
        found["all"] = (int(chosen.sum()), len(set(self.label[chosen].tolist())))
        return found
