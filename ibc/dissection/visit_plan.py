"""Which images are visited when, the same in both passes and in a run that goes on.

Images are visited in an order drawn from the seed and always in the same batches: a batch that is encoded a second time
gives the same numbers to the last bit. Whole batches form groups. An image meets the label maps of others of its group
for the chance level; as the order is random, these are random images.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ibc.data.broden.dataset import Broden

FEWEST_IN_GROUP = 64  # images; more would only make the chance pairings slower on a GPU


@dataclass
class VisitPlan:
    """order: (N,) int64 image indices as visited. batches: each a range of places in the order.

    groups: each a range of batches, whose label maps have one size.
    """

    order: np.ndarray
    batches: list[range]
    groups: list[range]

    def images(self, batch: int) -> np.ndarray:
        """Image indices of a batch."""
        return self.order[self.batches[batch].start : self.batches[batch].stop]

    def places(self, group: int) -> range:
        """Places in the order that a group covers."""
        batches = self.groups[group]
        return range(self.batches[batches.start].start, self.batches[batches.stop - 1].stop)


def plan_visits(broden: Broden, batch_size: int, pairings: int, seed: int) -> VisitPlan:
    """Batches of at most ``batch_size`` images with label maps of one size, nearly equal in number.

    A group has at least ``pairings`` images where there are so many.
    """
    order = np.random.default_rng(seed).permutation(len(broden))
    map_sizes = np.array([broden.records[index].map_size for index in order])
    _, kind = np.unique(map_sizes, axis=0, return_inverse=True)
    by_size = np.argsort(kind.reshape(-1), kind="stable")
    order, kind = order[by_size], kind.reshape(-1)[by_size]
    batches: list[range] = []
    groups: list[range] = []
    for value in range(int(kind[-1]) + 1):
        begin, end = np.searchsorted(kind, [value, value + 1])
        edges = np.linspace(begin, end, -(-int(end - begin) // batch_size) + 1).astype(int)
        first = len(batches)
        batches += [range(a, b) for a, b in pairwise(edges)]
        smallest = min(len(batch) for batch in batches[first:])
        step = -(-max(pairings, FEWEST_IN_GROUP) // smallest)  # batches a group
        count = max(1, (len(batches) - first) // step)
        group_edges = np.linspace(first, len(batches), count + 1).astype(int)
        groups += [range(a, b) for a, b in pairwise(group_edges)]
    return VisitPlan(order, batches, groups)
