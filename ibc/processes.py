"""One process or many: rank, size, and sums over all processes.

Under ``torchrun`` every process holds its share of the global batch; without it the functions
here do nothing and cost nothing.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from weakref import WeakSet

import torch
import torch.distributed as dist
from torch import Tensor

from ibc.errors import InputError, input_error

T = TypeVar("T")


@contextmanager
def processes(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that ``torchrun`` started, if it did; yields this process's device.

    NCCL for what lies on GPUs, one GPU a process; gloo for what lies on CPUs. When another process is lost,
    raises InputError.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    well = False
    try:
        # torchrun keeps its store over restarts: without a prefix of its own, an attempt would find
        # the addresses of the processes that are gone.
        store, number, size = next(dist.rendezvous("env://"))
        store = dist.PrefixStore(f"attempt {_restarts()}", store)
        backend, on = "gloo", None
        if device.type == "cuda":
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(device)
            backend, on = "cpu:gloo,cuda:nccl", device
        dist.init_process_group(backend, store=store, rank=number, world_size=size, device_id=on)
        yield device
        dist.barrier()  # nobody leaves while another still needs it
        well = True
    except RuntimeError as error:  # what gloo, NCCL and the store raise has no class in common
        reason = str(error).splitlines()[0]
        if not any(word in reason.lower() for word in ("connection", "peer", "gloo", "nccl", "socket", "timed out")):
            raise
        raise InputError(f"another process of this run was lost or not found ({reason}); start it again with --resume, "
                         "it goes on from the last checkpoint") from None
    finally:
        if not well and dist.is_initialized() and dist.group.WORLD is not None:
            dist.group.WORLD.abort()  # what the others will not answer
        for graph in _graphs:  # NCCL would wait for ever for graphs that hold its calls
            graph.reset()
        gc.collect()  # what works for the group in threads of its own must end before it
        if dist.is_initialized():
            dist.destroy_process_group()


_graphs: WeakSet[torch.cuda.CUDAGraph] = WeakSet()


def keep_until_end(graph: torch.cuda.CUDAGraph) -> None:
    """Note a CUDA graph that may hold communication, so that it is reset before the processes part."""
    _graphs.add(graph)


def restarted() -> bool:
    """True in a process that ``torchrun`` started anew after a failure (elastic restart)."""
    return _restarts() > 0


def _restarts() -> int:
    """How often ``torchrun`` has started the processes anew."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes of the run."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_main() -> bool:
    """True in the process that writes files and prints."""
    return rank() == 0


def total(value: Tensor) -> Tensor:
    """Sum of ``value`` over all processes, without gradient."""
    if world_size() == 1:
        return value
    value = value.detach().clone()
    dist.all_reduce(value)
    return value


def total_later(value: Tensor) -> Callable[[], Tensor]:
    """A call that gives ``total(value)`` of a tensor in main memory. The sum is made meanwhile, beside other work."""
    if world_size() == 1:
        return lambda: value
    value = value.detach().clone()
    work = dist.all_reduce(value, async_op=True)
    assert work is not None

    def summed() -> Tensor:
        work.wait()
        return value

    return summed


def global_mean(local: Tensor) -> Tensor:
    """Mean over processes of a local mean; its gradient is that of the local one.

    Averaging the processes' gradients then gives the gradient of the global mean.
    """
    if world_size() == 1:
        return local
    return local + (total(local) / world_size() - local).detach()


def gathered_rows(rows: Tensor) -> Tensor:
    """(n, ...) rows of all processes, (n * processes, ...) by rank; every process has the same number.

    For a loss that every process computes over all rows: the gradient of this process's rows is taken as many times as
    there are processes. Averaging the processes' gradients then gives the gradient of the loss.
    """
    size = world_size()
    if size == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(size)]
    dist.all_gather(parts, rows.detach().contiguous())
    if rows.requires_grad:
        parts[rank()] = rows * size - (rows * (size - 1)).detach()
    return torch.cat(parts)


def gather(value: T) -> list[T]:
    """``value`` of every process, by rank, in the main process; an empty list in the others."""
    if world_size() == 1:
        return [value]
    values: list[T] | None = [value] * world_size() if is_main() else None
    dist.gather_object(value, values)
    return values or []


def gather_rows(rows: Tensor) -> Tensor | None:
    """(n, ...) rows of every process on CPUs, by rank, in the main process; None in the others."""
    if world_size() == 1:
        return rows
    counts = gather(len(rows))
    if not counts:
        if len(rows):
            dist.send(rows.contiguous(), 0)
        return None
    whole = rows.new_empty(sum(counts), *rows.shape[1:])
    for source, part in enumerate(whole.split(counts)):
        if source == 0:
            part.copy_(rows)
        elif len(part):
            dist.recv(part, source)
    return whole


def mean_over_processes(value: Tensor) -> Tensor:
    """Mean of ``value`` over all processes, without gradient."""
    return total(value) / world_size()


def share_of_halves(rows: int, rank: int, size: int) -> torch.Tensor:
    """Positions, in a global batch of ``rows``, of the rows that process ``rank`` of ``size`` takes.

    Each process takes the same part of the plain half and of the masked half.
    """
    half = rows // 2
    if half % size:
        raise input_error(None, f"batch_size {rows} for {size} processes", f"a multiple of {2 * size}",
                          "each process takes an equal part of both halves")
    part = torch.arange(rank * half // size, (rank + 1) * half // size)
    return torch.cat([part, half + part])


def any_process(number: int) -> int:
    """The largest ``number`` of all processes."""
    if world_size() == 1:
        return number
    value = torch.tensor(number)
    dist.all_reduce(value, dist.ReduceOp.MAX)
    return int(value)
