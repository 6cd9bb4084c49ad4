"""Slow, obvious twins of the ranking metrics, one query at a time in plain numpy; and random cases to rank."""

from fractions import Fraction
from itertools import permutations

import numpy as np


def random_case(seed, queries, items, bits, classes, zeros=0.0):
    """Query signs, query classes, database signs, database classes."""
    random = np.random.default_rng(seed)
    signs = [np.where(random.random((n, bits)) < zeros, 0, random.choice([-1, 1], (n, bits))).astype(np.int8)
             for n in (queries, items)]
    return signs[0], random.integers(0, classes, queries), signs[1], random.integers(0, classes, items)


def average_precision(relevance, at=None, divisor="relevant"):
    """AP of a ranked list of 0/1, in rational numbers: (1/R) sum of (relevant so far) / rank."""
    total = sum(relevance)
    share = {"relevant": total, "min": min(total, at or total), "found": sum(relevance[:at])}[divisor]
    value, so_far = Fraction(0), 0
    for rank, hit in enumerate(relevance, start=1):
        if at is not None and rank > at:
            break
        if hit:
            so_far += 1
            value += Fraction(so_far, rank)
    return value / share if share else Fraction(0)


def ranked_relevance(query, label, items, labels, self_row=None, self_match=None):
    """(distances, relevance) of the database in stable order for one query; labels are numbers or sets."""
    distance = -(items.astype(int) @ query.astype(int))
    if isinstance(label, (set, frozenset)):
        relevance = np.array([bool(label & other) for other in labels])
    else:
        relevance = np.array([other == label for other in labels])
    keep = np.ones(len(items), bool)
    if self_match in ("keep", "exclude"):
        relevance[self_row] = False
        keep[self_row] = self_match == "keep"
    distance, relevance = distance[keep], relevance[keep]
    order = np.argsort(distance, kind="stable")
    return distance[order].tolist(), relevance[order].astype(int).tolist()


def all_orders(distances, relevance):
    """Every ranked 0/1 list that some order of the ties gives, once for each permutation of the tied items."""
    lists = [[]]
    for value in sorted(set(distances)):
        group = [hit for d, hit in zip(distances, relevance, strict=True) if d == value]
        lists = [head + list(tail) for head in lists for tail in permutations(group)]
    return lists
