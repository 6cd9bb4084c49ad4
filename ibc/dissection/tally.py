"""The dissection table: how well every unit's mask matches every concept, and what chance would give.

From the counts of ``counting`` come IoU[u, l] = both / (activation + truth - both), the best concept
of each unit and category, and the best IoU of every chance pairing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ibc.dissection.counting.counts import Counts

EPSILON = 1e-10  # official guard of the division
ENTRIES_AT_ONCE = 2**21  # of IoU tables over all pairings; bounds their memory


def iou_table(both: np.ndarray, activation: np.ndarray, truth: np.ndarray, primary: np.ndarray) -> np.ndarray:
    """IoU (..., L) float64 of both (..., L) and activation (..., C), with truth (L,)."""
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
    """How filter k and bit k agree over N images, each (K,).

    correlation: of the filter's mean response with the code value. bit_on: images with bit 1.
    filter_on: images with a response above the threshold. both_on: images with both.
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

    units: (K,) int64 unit numbers, from 1. thresholds: (K,) float64. rank_error: of the thresholds,
    as a fraction of the values (0: exact). images: N. names: L label names. primary: (L,) category places.
    both: (K, L), activation: (K, C), truth: (L,), pixels: (K,) int64 counts. null: (K, R) float64.
    top_images: (K, T) int64 places in ``image_names``, "" = none; top_peaks: (K, T) float32, their
    maxima; top_maps: (K, T, h, w) float32. key: identifies model, data and settings.
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

    @cached_property
    def iou(self) -> np.ndarray:
        """(K, L) float64."""
        return iou_table(self.both, self.activation, self.truth, self.primary)

    @cached_property
    def best_label(self) -> np.ndarray:
        """(K, C) int64: the label of each category with the best IoU, first of equals; 0 where all are 0."""
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
        """(K,) float64: its IoU."""
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
        """(K,) bool: score at or above a number, or above ``chance``."""
        return self.beats_chance if rule == "chance" else (self.score >= rule) & (self.score > 0)

    def coverage(self, rule: float | str) -> dict[str, tuple[int, int]]:
        """Interpretable units and distinct concepts of each category, and of ``all``."""
        chosen = self.interpretable(rule)
        found = {}
        for place, name in enumerate(self.categories):
            mine = chosen & (self.category == place)
            found[name] = (int(mine.sum()), len(set(self.label[mine].tolist())))
        found["all"] = (int(chosen.sum()), len(set(self.label[chosen].tolist())))
        return found
