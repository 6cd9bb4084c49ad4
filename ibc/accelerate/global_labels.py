"""Labels of a batch that several processes share: denominators and counts of the whole batch.

In one process these are the batch's own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from ibc.batch_labels import HalfLabels, batch_halves
from ibc.config import Config
from ibc.data.batch import Batch
from ibc.processes import total_later, world_size

LOOK_AHEAD = 4  # batches whose labels the processes exchange ahead of their update

Halves = tuple[HalfLabels, HalfLabels]


def with_halves(batches: Iterable[Batch], config: Config) -> Iterator[tuple[Batch, Halves]]:
    """Each batch with the labels of its plain and its masked half.

    Several processes exchange what they need some batches ahead, so that no update waits for an answer.
    """
    ahead: deque[tuple[Batch, Callable[[], Halves]]] = deque()
    for batch in batches:
        ahead.append((batch, global_halves(batch.labels, config)))
        if world_size() == 1 or len(ahead) > LOOK_AHEAD:
            batch, halves = ahead.popleft()
            yield batch, halves()
    for batch, halves in ahead:
        yield batch, halves()


def global_halves(labels: Tensor, config: Config) -> Callable[[], Halves]:
    """A call that gives the labels of both halves, with denominators and counts summed over all processes.

    labels: (B, L), those of this process's images.
    """
    halves = batch_halves(labels, config)
    if world_size() == 1:
        return lambda: halves
    local = [[float(half.denominator) if half.count else 0.0, half.count] for half in halves]
    summed = total_later(torch.tensor(local, dtype=torch.float64))

    def answer() -> Halves:
        for half, (denominator, count) in zip(halves, summed().tolist(), strict=True):
            # The processes' gradients are averaged; those of sums over rows need the number of processes back.
            half.denominator = torch.tensor(denominator / world_size() if count else 1.0)
            half.count = int(count)
        return halves

    return answer
