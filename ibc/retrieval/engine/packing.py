"""Signs packed into 64-bit words, in the layout that the kernels read.

Queries lie row by row, (N, W). The database lies word by word, (W, D), so that a kernel reads one word of all items in
a row. W is a multiple of ``WORD_GROUP``.
"""

from __future__ import annotations

import numpy as np

from ibc.codes import pack_bits
from ibc.retrieval.engine.kernels import WORD_GROUP

NO_MASK = np.zeros((0, 0), np.uint64)  # of a database without a 0


def pack_queries(signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Words and masks of (N, K) signs, both (N, W) uint64: a bit of the mask is set where a sign is not 0."""
    positive, nonzero = pack_bits(signs)
    padding = ((0, 0), (0, -positive.shape[1] % WORD_GROUP))
    if nonzero is None:
        nonzero = np.repeat(pack_bits(np.ones((1, signs.shape[1])))[0], len(signs), axis=0)
    return np.pad(positive, padding), np.pad(nonzero, padding)


def pack_database(signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Words and mask of (D, K) signs, both (W, D) uint64; the mask is ``NO_MASK`` where no sign is 0."""
    words, mask = pack_queries(signs)
    return np.ascontiguousarray(words.T), NO_MASK if signs.all() else np.ascontiguousarray(mask.T)
