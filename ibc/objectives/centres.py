"""Binary targets of classes: rows of a Hadamard matrix, which differ in half of their bits, and random ones beyond."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import hadamard
from torch import Tensor


def class_centres(classes: int, bits: int, seed: int) -> Tensor:
    """(C, K) of -1 and 1, in torch's default type: one target code a class.

    Where K is a power of two: the rows of the Hadamard matrix of order K, then their opposites. For the classes that
    are left (or other K): random rows with as many 1 as -1.
    """
    rows = np.empty((0, bits), np.float32)
    if bits & (bits - 1) == 0:
        matrix = hadamard(bits).astype(np.float32)
        rows = np.concatenate([matrix, -matrix])[:classes]
    random = np.random.RandomState(seed % 2**32)
    balanced = np.where(np.arange(bits) < bits // 2, 1, -1).astype(np.float32)
    left = [random.permutation(balanced) for _ in range(classes - len(rows))]
    return torch.from_numpy(np.concatenate([rows, *(row[None] for row in left)])).to(torch.get_default_dtype())


def targets_of(centres: Tensor, targets: Tensor, vectors: Tensor | None) -> Tensor:
    """(B, K) target code of each image: that of its class, or of several the majority of each bit.

    targets: (B,) class ids; those below 0 get some row, which does not count. vectors: (B, C) 0/1, multi-label. A bit
    without a majority is that of the first of the image's classes.
    """
    if vectors is None:
        return centres[targets.clamp(min=0)]
    votes = vectors @ centres
    return torch.where(votes == 0, centres[vectors.argmax(dim=1)], votes.sign())
