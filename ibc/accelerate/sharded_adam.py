"""Adam by several processes: gradients averaged and the work divided, while the trunk computes.

All layers but the trunk's, nine tenths of the weights, have their gradients before the trunk's backward pass begins.
Meanwhile each process averages its rows of the large gradients over all processes, and steps these rows of the weights.
The others receive them during the trunk's next forward pass: until then nothing needs them. Everything happens in
place. DistributedDataParallel would first copy every gradient into its buckets, and let every process step every
weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakMethod

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim.adam import adam

from ibc.processes import rank, world_size

SHARDED = 2**18  # elements from which the rows of a matrix are divided; smaller ones travel together, as fast as one


class ShardedAdam:
    """Takes the steps of ``optimizer`` after every backward pass, with the gradients' means over all processes.

    The result is that of one process. last: number of the parameter group whose gradients come last. All processes
    must have the same parameters, and their backward passes give the gradients in the same order. An update calls
    ``begin``, ``gathered``, runs its backward pass, and calls ``finish``. Between updates a process lacks the others'
    rows of large matrices: ``gather`` brings them wherever weights or moments are read.

    On a GPU all messages go one by one through one stream, which a recorded update turns into one branch. With a
    branch for each message it would need more of the GPU's hardware queues than nvJPEG's streams leave free, and wait
    for the decoders that share them.
    """

    def __init__(self, optimizer: torch.optim.Adam, device: torch.device, last: int = 0):
        self.optimizer = optimizer
        self.idle: frozenset[nn.Parameter] = frozenset()  # those that take no step after the next backward pass
        # By number: loading a state gives the optimiser new groups, in the same order.
        self._group_of: dict[nn.Parameter, int] = {
            parameter: number for number, group in enumerate(optimizer.param_groups) for parameter in group["params"]}
        self._last = last
        self._early = sum(number != last for number in self._group_of.values())
        self._stream = torch.cuda.Stream(device, priority=-1) if device.type == "cuda" else None
        self._running = False  # between begin and finish; other backward passes take no steps
        self._ready: list[nn.Parameter] = []  # parameters whose gradients have come
        self._in_use: list[Tensor] = []  # gradients whose memory the stream still reads
        for parameter in self._group_of:
            _when_accumulated(parameter, self._accumulated)

    def begin(self) -> None:
        """Before a forward pass: the processes start to send each other the rows that they stepped last."""
        self._ready.clear()
        self._running = True
        with self._aside():
            for parameter in self._group_of:
                if _is_sharded(parameter):
                    _gather_rows(parameter.detach())

    def gathered(self) -> None:
        """Wait for the rows that ``begin`` asked for (on a GPU the current stream waits, not the host)."""
        self._join()

    def _accumulated(self, parameter: nn.Parameter) -> None:
        if not self._running:
            return
        self._ready.append(parameter)
        if self._group_of[parameter] != self._last and len(self._ready) == self._early:
            with self._aside():
                self._step()

    def finish(self) -> None:
        """After the backward pass: take the remaining steps (on a GPU the current stream waits for all of them)."""
        if self._ready:
            with self._aside():
                self._step()
        self._running = False
        self._join()
        self._in_use.clear()

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """On the messages' own stream, after the work of the current one, which waits for it in ``_join``."""
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
        with torch.cuda.stream(self._stream):
            yield

    def _join(self) -> None:
        if self._stream is not None:
            torch.cuda.current_stream(self._stream.device).wait_stream(self._stream)

    @torch.no_grad()
    def _step(self) -> None:
        """Step the parameters whose gradients are ready; of the large ones this process's rows."""
        small = []
        for parameter in self._ready:
            if _is_sharded(parameter):
                _average_rows(_gradient(parameter))
            else:
                small.append(_flat(_gradient(parameter)))
        if small:
            together = torch.cat(small)
            _average(together)
            torch._foreach_copy_(small, together.split([len(gradient) for gradient in small]))
        for number, group in enumerate(self.optimizer.param_groups):
            self._step_group(group, [parameter for parameter in self._ready
                                     if self._group_of[parameter] == number and parameter not in self.idle])
        for parameter in self._ready:
            self._in_use.append(_gradient(parameter))
            parameter.grad = None
        self._ready.clear()

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
        """Adam's state of a parameter; before the first step, made as Adam makes it."""
        state = self.optimizer.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = torch.zeros_like(parameter)
        return state

    @torch.no_grad()
    def gather(self) -> None:
        """Bring all weights and Adam's moments to every process. All processes call it."""
        for parameter in self._group_of:
            if _is_sharded(parameter):
                state = self._state(parameter)
                for rows in (parameter.detach(), state["exp_avg"], state["exp_avg_sq"]):
                    _gather_rows(rows)


def same_start(parameters: Iterable[nn.Parameter]) -> None:
    """Give all processes the parameters of the first."""
    for parameter in parameters:
        dist.broadcast(_flat(parameter.detach()), 0)


def _when_accumulated(parameter: nn.Parameter, method: Callable[[nn.Parameter], None]) -> None:
    """Call a bound method whenever a backward pass has given ``parameter`` its gradient, while its object lives.

    The garbage collector does not see the hooks of a parameter: a strong reference here would never be freed.
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


def _is_sharded(tensor: Tensor) -> bool:
    """Whether the rows of a matrix are divided between the processes."""
    return tensor.dim() == 2 and tensor.numel() >= SHARDED and len(tensor) % world_size() == 0


def _own(tensor: Tensor) -> Tensor:
    """The rows that this process steps; all of a tensor that is not divided."""
    if not _is_sharded(tensor):
        return tensor
    rows = len(tensor) // world_size()
    return tensor[rank() * rows : (rank() + 1) * rows]


def _average(values: Tensor) -> None:
    """The mean over all processes, in place."""
    if values.is_cuda:
        dist.all_reduce(values, dist.ReduceOp.AVG)
    else:
        dist.all_reduce(values.div_(world_size()))  # gloo knows sums only


def _average_rows(matrix: Tensor) -> None:
    """The mean over all processes, in place, of this process's own rows; the other rows are left undefined."""
    scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor  # the name before torch 2.14
    if matrix.is_cuda:
        scatter(_own(matrix), matrix, dist.ReduceOp.AVG)
    else:
        scatter(_own(matrix), matrix.div_(world_size()))


def _gather_rows(matrix: Tensor) -> None:
    """Send every process's own rows to all processes, in place."""
    gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor  # the name before torch 2.14
    gather(matrix, _own(matrix))


def _flat(tensor: Tensor) -> Tensor:
    """A dense tensor's elements in the order in which they lie in memory, the same for all processes."""
    return tensor.as_strided((tensor.numel(),), (1,))
