"""Adam with the official groups, early steps of the largest layers, and the projection of the rule matrix."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim.adam import adam

from ibc.averaging import average_own_rows, gather_own_rows, own_rows, when_accumulated
from ibc.config import Config
from ibc.network import IBC

# (module, multiple of lr) in the official order of the optimiser's groups; the GRM comes last.
GROUPS = (("conv_basic", 1), ("pre_hash_layer", 1), ("hash_layer", 10), ("hash_prediction", 10),
          ("conv_last", 10), ("classifier", 1), ("real_prediction", 10))
GRM_LR = 10
LARGE = 2**22  # elements of a layer whose step is worth a launch of its own


def make_optimizer(model: IBC, config: Config, capturable: bool = False) -> torch.optim.Adam:
    """Adam with the eight official groups; ``initial_lr`` keeps each group's start rate."""
    groups: list[dict[str, Any]] = []
    for name, multiple in GROUPS:
        groups.append({"params": list(getattr(model.enc_style, name).parameters()), "lr": config.lr * multiple})
    groups.append({"params": [model.GRM], "lr": config.lr * GRM_LR})
    for group in groups:
        group["initial_lr"] = group["lr"]
    return torch.optim.Adam(groups, betas=(config.beta1, config.beta2), eps=1e-8,
                            weight_decay=config.weight_decay, fused=True, capturable=capturable)


class EarlySteps:
    """Adam's steps of the largest layers while the backward pass of the others goes on, shared by the processes.

    Those layers, nearly all of the weights, have their gradients before the trunk's backward pass begins; Adam
    moves bytes, convolutions compute. Of several processes each steps its own rows, by gradients averaged over
    all of them, and gives them to the others. The optimiser then finds no gradient there and steps the rest.
    The same arithmetic as in one step of one process.
    """

    def __init__(self, optimizer: torch.optim.Adam, device: torch.device):
        self.optimizer = optimizer
        # Loading a state gives the optimiser new groups, in the same order.
        self._group_of = {parameter: number for number, group in enumerate(optimizer.param_groups)
                          for parameter in group["params"] if parameter.dim() == 2 and parameter.numel() >= LARGE}
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.idle: frozenset[nn.Parameter] = frozenset()  # take no step after the coming backward pass
        self._averaged: list[tuple[nn.Parameter, dist.Work | None]] = []
        self._gathered: list[dist.Work] = []
        self._used: list[Tensor] = []  # gradients whose memory the stream still reads
        for parameter in self._group_of:
            when_accumulated(parameter, self._there)

    def takes(self, parameter: nn.Parameter) -> bool:
        """Whether the steps of ``parameter``, and the averaging of its gradient, are made here."""
        return parameter in self._group_of

    def finish(self) -> None:
        """After the backward pass: what follows (on a GPU: on the current stream) finds the layers stepped."""
        self._step_all()
        for work in self._gathered:
            work.wait()
        self._gathered.clear()
        if self._stream is not None and self._used:
            torch.cuda.current_stream(self._stream.device).wait_stream(self._stream)
        self._used.clear()

    def gather_moments(self) -> None:
        """Every process then has Adam's moments of all rows, as one process would. All have to call it."""
        for parameter in self._group_of:
            for name in ("exp_avg", "exp_avg_sq"):
                work = gather_own_rows(self._state(parameter)[name])
                if work is not None:
                    work.wait()

    def _there(self, parameter: nn.Parameter) -> None:
        assert parameter.grad is not None
        self._averaged.append((parameter, average_own_rows(parameter.grad)))
        if len(self._averaged) == len(self._group_of):  # not sooner: no average shall wait for a step
            self._step_all()

    def _step_all(self) -> None:
        if not self._averaged:
            return
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
        with torch.cuda.stream(self._stream), torch.no_grad():
            for parameter, averaged in self._averaged:
                if averaged is not None:
                    averaged.wait()
                assert parameter.grad is not None
                if parameter not in self.idle:
                    self._step(parameter, parameter.grad)
                self._used.append(parameter.grad)
                parameter.grad = None
        self._averaged.clear()

    def _step(self, parameter: nn.Parameter, gradient: Tensor) -> None:
        group, state = self.optimizer.param_groups[self._group_of[parameter]], self._state(parameter)
        rows = own_rows(len(parameter))
        beta1, beta2 = group["betas"]
        adam([parameter[rows]], [gradient[rows]], [state["exp_avg"][rows]], [state["exp_avg_sq"][rows]], [],
             [state["step"]], fused=True, capturable=group["capturable"], amsgrad=False, beta1=beta1, beta2=beta2,
             lr=group["lr"], weight_decay=group["weight_decay"], eps=group["eps"], maximize=False)
        work = gather_own_rows(parameter.detach())
        if work is not None:
            self._gathered.append(work)

    def _state(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """The optimiser's, made where it is wanting as the optimiser makes it in its first step."""
        state = self.optimizer.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = torch.zeros_like(parameter)
        return state


@torch.no_grad()
def project_grm(grm: Tensor) -> None:
    """In place: every column over its largest magnitude, cut to [0, 1].

    A column of zeros stays (in the original it becomes NaN for ever).
    """
    largest = grm.abs().amax(dim=0, keepdim=True)
    grm.div_(torch.where(largest > 0, largest, 1)).clamp_(0, 1)
