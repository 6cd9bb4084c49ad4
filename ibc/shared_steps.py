"""Adam's steps by several processes: gradients averaged, and the work shared, while the backward pass goes on.

All layers but the trunk's, nine tenths of the weights, have their gradients before the trunk's backward pass
begins. Meanwhile each process averages its rows of the large gradients over all processes, steps those rows of
the weights, and gives them to the others. Everything happens in place: DistributedDataParallel would copy every
gradient into its buckets first, and let every process step every weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakMethod

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim.adam import adam

from ibc.distributed import rank, world_size

SHARED = 2**18  # elements of a matrix whose rows are shared; smaller ones, all together, travel as fast as one of them


class SharedSteps:
    """Takes the steps of ``optimizer``, after every backward pass, with the gradients' means over all processes.

    The result is one process's. ``last``: number of the group whose gradients come last. All processes must have
    the same parameters, and their backward passes give the gradients in the same order. ``finish`` ends each step.
    """

    def __init__(self, optimizer: torch.optim.Adam, device: torch.device, last: int = 0):
        self.optimizer = optimizer
        self.idle: frozenset[nn.Parameter] = frozenset()  # take no step after the coming backward pass
        # By number: loading a state gives the optimiser new groups, in the same order.
        self._group_of: dict[nn.Parameter, int] = {
            parameter: number for number, group in enumerate(optimizer.param_groups) for parameter in group["params"]}
        self._last = last
        self._early = sum(number != last for number in self._group_of.values())
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._there: list[nn.Parameter] = []
        self._averaging: list[tuple[nn.Parameter, dist.Work]] = []
        self._gathering: list[dist.Work] = []
        self._beside = False  # whether the stream has work to wait for
        self._used: list[Tensor] = []  # gradients whose memory the stream still reads
        for parameter in self._group_of:
            _when_accumulated(parameter, self._accumulated)

    def _accumulated(self, parameter: nn.Parameter) -> None:
        self._there.append(parameter)
        if _is_shared(parameter):
            self._averaging.append((parameter, _average_rows(_gradient(parameter))))
        if self._group_of[parameter] != self._last and len(self._there) == self._early:
            if self._stream is not None:
                self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
                self._beside = True
            with torch.cuda.stream(self._stream):
                self._step()

    def finish(self) -> None:
        """After the backward pass: what follows (on a GPU: on the current stream) finds all steps taken."""
        if self._there:
            self._step()
        for work in self._gathering:
            work.wait()
        self._gathering.clear()
        if self._stream is not None and self._beside:
            torch.cuda.current_stream(self._stream.device).wait_stream(self._stream)
            self._beside = False
        self._used.clear()

    @torch.no_grad()
    def _step(self) -> None:
        """Steps the parameters whose gradients are there: each large one while the next one's rows travel."""
        small = [parameter for parameter in self._there if not _is_shared(parameter)]
        if small:
            flat = [_flat(_gradient(parameter)) for parameter in small]
            together = torch.cat(flat)
            averaging = _average(together)
        for parameter, work in self._averaging:
            work.wait()
            if parameter not in self.idle:
                self._step_some([parameter])
                self._gathering.append(_gather_rows(parameter.detach()))
        self._averaging.clear()
        if small:
            averaging.wait()
            torch._foreach_copy_(flat, together.split([len(gradient) for gradient in flat]))
            self._step_some(small)
        for parameter in self._there:
            self._used.append(_gradient(parameter))
            parameter.grad = None
        self._there.clear()

    def _step_some(self, parameters: list[nn.Parameter]) -> None:
        for number, group in enumerate(self.optimizer.param_groups):
            self._step_group(group, [parameter for parameter in parameters
                                     if self._group_of[parameter] == number and parameter not in self.idle])

    def _step_group(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        if not parameters:
            return
        states = [self._state(parameter) for parameter in parameters]
        beta1, beta2 = group["betas"]
        adam([_own(parameter.detach()) for parameter in parameters],
             [_own(_gradient(parameter)) for parameter in parameters],
             [_own(state["exp_avg"]) for state in states], [_own(state["exp_avg_sq"]) for state in states], [],
             [state["step"] for state in states], fused=True, capturable=group["capturable"], amsgrad=False,
             beta1=beta1, beta2=beta2, lr=group["lr"], weight_decay=group["weight_decay"], eps=group["eps"],
             maximize=False)

    def _state(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """The optimiser's, made where it is wanting as the optimiser makes it in its first step."""
        state = self.optimizer.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = torch.zeros_like(parameter)
        return state

    def gather_moments(self) -> None:
        """Every process then has Adam's moments of all rows, as one process would. All have to call it."""
        for parameter in self._group_of:
            if _is_shared(parameter):
                for name in ("exp_avg", "exp_avg_sq"):
                    _gather_rows(self._state(parameter)[name]).wait()


def same_start(parameters: Iterable[nn.Parameter]) -> None:
    """All processes begin with the parameters of the first."""
    for parameter in parameters:
        dist.broadcast(_flat(parameter.detach()), 0)


def _when_accumulated(parameter: nn.Parameter, method: Callable[[nn.Parameter], None]) -> None:
    """Calls a bound method after each backward pass has given ``parameter`` its gradient, as long as its object lives.

    A parameter keeps its hooks out of the garbage collector's sight: they must not keep what keeps the parameter.
    """
    weak = WeakMethod(method)

    def hook(parameter: Tensor) -> None:
        call = weak()
        if call is not None and isinstance(parameter, nn.Parameter):
            call(parameter)

    parameter.register_post_accumulate_grad_hook(hook)


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _is_shared(tensor: Tensor) -> bool:
    """Whether each process steps a part of its rows."""
    return tensor.dim() == 2 and tensor.numel() >= SHARED and len(tensor) % world_size() == 0


def _own(tensor: Tensor) -> Tensor:
    """The rows that this process steps, of a shared tensor; else all of it."""
    if not _is_shared(tensor):
        return tensor
    rows = len(tensor) // world_size()
    return tensor[rank() * rows : (rank() + 1) * rows]


def _average(values: Tensor) -> Any:
    """The mean over all processes, in place. Returns work to wait for, as the two below."""
    if values.is_cuda:
        return dist.all_reduce(values, dist.ReduceOp.AVG, async_op=True)
    return dist.all_reduce(values.div_(world_size()), async_op=True)  # gloo knows sums only


def _average_rows(matrix: Tensor) -> Any:
    """The mean over all processes, in place, in this process's own rows; the others lose their meaning."""
    scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor  # the name before torch 2.14
    if matrix.is_cuda:
        return scatter(_own(matrix), matrix, dist.ReduceOp.AVG, async_op=True)
    return scatter(_own(matrix), matrix.div_(world_size()), async_op=True)


def _gather_rows(matrix: Tensor) -> Any:
    """Every process's own rows, in place, to all processes."""
    gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor  # the name before torch 2.14
    return gather(matrix, _own(matrix), async_op=True)


def _flat(tensor: Tensor) -> Tensor:
    """A dense tensor's elements in the order in which they lie in memory, the same for all processes."""
    return tensor.as_strided((tensor.numel(),), (1,))
