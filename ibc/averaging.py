"""Gradients averaged over all processes while the backward pass goes on.

A large gradient is on its way as soon as it is there; the small ones follow together. All in place:
DistributedDataParallel would copy every gradient into its buckets first. The largest layers' gradients are
averaged by rows, each process its own: those layers' steps are shared (``ibc.optimiser.EarlySteps``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from weakref import WeakMethod

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ibc.distributed import rank, world_size

TOGETHER = 100_000  # elements; smaller gradients would wait longer for their turn than they travel


class GradientAverage:
    """Makes every gradient of ``parameters`` the mean over all processes, from the next backward pass on.

    The processes' backward passes must give the gradients in the same order. ``finish`` ends each of them.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]):
        self._coming: list[dist.Work] = []
        self._small: list[Tensor] = []
        for parameter in parameters:
            when_accumulated(parameter, self._there)

    def _there(self, parameter: nn.Parameter) -> None:
        assert parameter.grad is not None
        gradient = _flat(parameter.grad)
        if len(gradient) < TOGETHER:
            self._small.append(gradient)
        else:
            self._coming.append(average(gradient))

    def finish(self) -> None:
        """What follows (on a GPU: on the current stream) finds the means."""
        if self._small:
            together = torch.cat(self._small)
            average(together).wait()
            torch._foreach_copy_(self._small, together.split([len(gradient) for gradient in self._small]))
            self._small.clear()
        for work in self._coming:
            work.wait()
        self._coming.clear()


def when_accumulated(parameter: nn.Parameter, method: Callable[[nn.Parameter], None]) -> None:
    """Calls a bound method after each backward pass has given ``parameter`` its gradient, as long as its object lives.

    A parameter keeps its hooks out of the garbage collector's sight: they must not keep what keeps the parameter.
    """
    weak = WeakMethod(method)

    def hook(parameter: Tensor) -> None:
        call = weak()
        if call is not None:
            call(parameter)

    parameter.register_post_accumulate_grad_hook(hook)


def same_start(parameters: Iterable[nn.Parameter]) -> None:
    """All processes begin with the parameters of the first."""
    for parameter in parameters:
        dist.broadcast(_flat(parameter.detach()), 0)


def own_rows(rows: int) -> slice:
    """Which of a matrix's rows this process takes; all where the processes cannot have equal parts."""
    size = world_size()
    if rows % size:
        return slice(0, rows)
    return slice(rank() * rows // size, (rank() + 1) * rows // size)


def average(values: Tensor) -> dist.Work:
    """The mean over all processes, in place."""
    if values.is_cuda:
        return dist.all_reduce(values, dist.ReduceOp.AVG, async_op=True)
    return dist.all_reduce(values.div_(world_size()), async_op=True)  # gloo knows sums only


def average_own_rows(matrix: Tensor) -> dist.Work | None:
    """The mean over all processes, in place, in this process's own rows; the others lose their meaning."""
    if world_size() == 1:
        return None
    rows = own_rows(len(matrix))
    if rows.stop - rows.start == len(matrix):
        return average(matrix)
    scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor  # its name before torch 2.14
    if matrix.is_cuda:
        return scatter(matrix[rows], matrix, dist.ReduceOp.AVG, async_op=True)
    return scatter(matrix[rows], matrix.div_(world_size()), async_op=True)


def gather_own_rows(matrix: Tensor) -> dist.Work | None:
    """Every process's own rows, in place, to all processes."""
    rows = own_rows(len(matrix))
    if rows.stop - rows.start == len(matrix):
        return None
    gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor  # its name before torch 2.14
    return gather(matrix, matrix[rows], async_op=True)


def _flat(tensor: Tensor) -> Tensor:
    """A dense tensor's elements in the order in which they lie in memory, the same for all processes."""
    return tensor.as_strided((tensor.numel(),), (1,))
