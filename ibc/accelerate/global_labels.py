"""Labels of a batch that several processes share: denominators and counts of the whole batch.

In one process these are the batch's own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from ibc.data.batch import Batch
from ibc.objectives.objective import BatchLabels, Objective
from ibc.processes import total_later, world_size

LOOK_AHEAD = 4  # batches whose labels the processes exchange ahead of their update


def with_labels(batches: Iterable[Batch], objective: Objective[Any]) -> Iterator[tuple[Batch, BatchLabels]]:
    """Each batch with its labels as the objective reads them.

    Several processes exchange what they need some batches ahead, so that no update waits for an answer.
    """
    ahead: deque[tuple[Batch, Callable[[], BatchLabels]]] = deque()
    for batch in batches:
        ahead.append((batch, global_labels(batch.labels, objective)))
        if world_size() == 1 or len(ahead) > LOOK_AHEAD:
            batch, labels = ahead.popleft()
            yield batch, labels()
    for batch, labels in ahead:
        yield batch, labels()


def global_labels(labels: Tensor, objective: Objective[Any]) -> Callable[[], BatchLabels]:
    """A call that gives the labels of a batch, with denominators and counts summed over all processes.

    labels: (B, L), those of this process's images.
    """
    parts = objective.read_labels(labels)
    if world_size() == 1:
        return lambda: parts
    local = [[float(part.denominator) if part.count else 0.0, part.count] for part in parts]
    summed = total_later(torch.tensor(local, dtype=torch.float64))

    def answer() -> BatchLabels:
        for part, (denominator, count) in zip(parts, summed().tolist(), strict=True):
            # The processes' gradients are averaged; those of sums over rows need the number of processes back.
            part.denominator = torch.tensor(denominator / world_size() if count else 1.0)
            part.count = int(count)
        return parts

    return answer
