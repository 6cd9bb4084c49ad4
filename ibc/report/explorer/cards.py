"""What the page tells about each bit: a *bit card*.

Codes, labels and names of bits flow in; for each bit flow out its balance, the histogram of its code value, images to
look at, the classes that use it, and what it tells about classes and attributes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ibc.progress import track

IMAGES_SHOWN = 12     # of each kind on a card
HISTOGRAM_BINS = 20   # of the code value, from 0 to 1
CLASS_USES = 0.5      # a class uses a bit where its entry of the GRM is above it ...
CLASSES_SHOWN = 24    # ... the largest entries come first


@dataclass
class BitCard:
    """One bit, ``number`` from 1, with the fields of the page's ``bits``; docs/explorer.md describes each."""

    number: int
    share: float
    entropy: float
    histogram: list[int]
    top: list[int]
    random: list[int]
    near: list[int]
    names: list[dict[str, Any]] = field(default_factory=list)
    classes: list[list[float]] = field(default_factory=list)
    information: dict[str, Any] | None = None
    alignment: float | None = None
    masks: str | None = None


def bit_cards(codes: np.ndarray, grm: np.ndarray | None, seed: int) -> list[BitCard]:
    """The cards of K bits, without names, information, alignment and masks.

    codes: (N, K) sigmoid values. grm: (C, K) or None. seed: of the random images.
    """
    random = np.random.default_rng(seed)
    return [_card(bit, np.ascontiguousarray(codes[:, bit]), None if grm is None else grm[:, bit], random)
            for bit in track(range(codes.shape[1]), "bit cards", unit="bits")]


def _card(bit: int, values: np.ndarray, rules: np.ndarray | None, random: np.random.Generator) -> BitCard:
    having = np.flatnonzero(values > 0.5)
    share = len(having) / max(len(values), 1)
    shown = random.permutation(having)[:IMAGES_SHOWN] if len(having) <= 10_000 else random.choice(
        having, IMAGES_SHOWN, replace=False)
    histogram = np.histogram(np.clip(values, 0, 1), HISTOGRAM_BINS, (0, 1))[0]
    card = BitCard(bit + 1, share, _entropy(share), histogram.tolist(), _smallest(-values), np.sort(shown).tolist(),
                   _smallest(np.abs(values - np.float32(0.5))))
    if rules is not None:
        users = np.argsort(-rules, kind="stable")[:CLASSES_SHOWN]
        card.classes = [[int(number), round(float(rules[number]), 3)] for number in users if rules[number] > CLASS_USES]
    return card


def _smallest(values: np.ndarray) -> list[int]:
    """Places of the smallest ``IMAGES_SHOWN`` values, smallest first, equal ones in order."""
    if len(values) <= IMAGES_SHOWN:
        return np.argsort(values, kind="stable").tolist()
    limit = np.partition(values, IMAGES_SHOWN - 1)[IMAGES_SHOWN - 1]
    near = np.flatnonzero(values <= limit)
    return near[np.argsort(values[near], kind="stable")[:IMAGES_SHOWN]].tolist()


def _entropy(share: float) -> float:
    """In bits: 1 where half of the images have the bit, 0 where all or none have it."""
    return float(-sum(part * np.log2(part) for part in (share, 1 - share) if part > 0))
