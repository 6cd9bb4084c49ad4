"""What single bits tell about classes and attributes, in words that a page can show.

Signs and labels flow in. For each bit flow out the class or attribute of which it tells most, and names: the class and
the attribute that its images have more often than others. A bit of any code tells a little by chance: how much is
measured on shuffled images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ibc.labels import Labels
from ibc.retrieval.mutual_info import mutual_info_score

SHUFFLES = 3  # of the images, to measure what is told by chance


@dataclass(frozen=True)
class LabelInformation:
    """What K bits tell about C labels of one kind ("class" or "attribute"), over N images.

    names: of the C labels that occur. nats: (C, K) mutual information; the images with the label and the others weigh
    half each. floor: (K,) the largest over labels in any shuffle. both: (C, K) images with label and bit; sizes: (C,)
    with the label; having: (K,) with the bit; count: N.
    """

    kind: str
    names: list[str]
    nats: np.ndarray
    floor: np.ndarray
    both: np.ndarray
    sizes: np.ndarray
    having: np.ndarray
    count: int

    def most_told(self, bit: int) -> dict[str, Any]:
        """The label of which a bit tells most, whether it speaks for or against it."""
        place = int(self.nats[:, bit].argmax())
        return {"name": self.names[place], "kind": self.kind, "nats": float(self.nats[place, bit])}

    def name(self, bit: int) -> dict[str, Any] | None:
        """The label that names a bit: of those more frequent with the bit, the one of which it tells most."""
        both, having = self.both[:, bit], int(self.having[bit])
        favoured = both * self.count > having * self.sizes
        if not favoured.any():
            return None
        place = int(np.where(favoured, self.nats[:, bit], -1).argmax())
        size, nats = int(self.sizes[place]), float(self.nats[place, bit])
        expected = having * size / self.count
        return {"concept": self.names[place], "category": self.kind, "source": self.kind, "nats": nats,
                "iou": float(both[place] / (having + size - both[place])),
                "chance": expected / (having + size - expected), "beats_chance": nats > float(self.floor[bit])}


def label_information(signs: np.ndarray, labels: Labels, names: list[str], kind: str,
                      seed: int) -> LabelInformation | None:
    """What (N, K) signs tell about labels; None where no label with a name occurs. seed: of the shuffles."""
    classes = labels.classes(len(names))
    if not len(classes):
        return None
    positive = signs > 0
    rows = list(labels.class_rows(classes))
    random = np.random.default_rng(seed)
    floors = [_nats(signs[random.permutation(len(signs))], labels, len(names)).max(axis=0) for _ in range(SHUFFLES)]
    return LabelInformation(kind, [names[number] for number in classes], _nats(signs, labels, len(names)),
                            np.max(floors, axis=0), np.array([positive[own].sum(axis=0) for own in rows]),
                            np.array([len(own) for own in rows]), positive.sum(axis=0), len(signs))


def _nats(signs: np.ndarray, labels: Labels, class_num: int) -> np.ndarray:
    return mutual_info_score(signs, labels, estimator="exact", samples="all", class_num=class_num).table
