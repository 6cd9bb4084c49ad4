"""The slow, obvious twin of the search: loops over queries, items and bits; distances as exact fractions."""

from fractions import Fraction

import numpy as np


def slow_search(db, queries, bits=None, weights=None, top=100):
    """(rows, distances) as lists. Arguments as ``ibc.retrieval.search`` takes them, already signs or grades."""
    all_rows, all_distances = [], []
    for number, query in enumerate(queries):
        length = len(query)
        chosen = set(range(length)) if bits is None else set(bits[number] if np.ndim(bits[0]) else bits)
        own = np.ones(length) if weights is None else weights[number] if np.ndim(weights) == 2 else weights
        distances = []
        for item in db:
            total = Fraction(0)
            for bit in chosen:
                if query[bit] == 0:
                    continue
                differs = Fraction(1, 2) if item[bit] == 0 else int((item[bit] > 0) != (query[bit] > 0))
                total += Fraction(float(own[bit])) * Fraction(float(abs(query[bit]))) * differs
            distances.append(total)
        order = sorted(range(len(db)), key=lambda row, found=distances: (found[row], row))[:top]
        all_rows.append(order)
        all_distances.append([distances[row] for row in order])
    return all_rows, all_distances
