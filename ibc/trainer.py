"""One IBC update: schedule, forward of both halves in one pass, seven losses, Adam, GRM projection.

A batch (B, 3, H, W) with labels (B, L) goes in, the eight official loss values come out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ibc.accelerate import kernels
from ibc.accelerate.sharded_adam import SharedSteps, same_start
from ibc.batch_labels import Half, masked_half, plain_half
from ibc.config import Config
from ibc.data.dataset import Batch
from ibc.errors import input_error
from ibc.network import IBC
from ibc.optimiser import make_optimizer, project_grm
from ibc.pretrained import load_pretrained
from ibc.processes import rank, total_later, world_size
from ibc.schedule import lr_factor
from ibc.update import LOSS_NAMES, CapturedUpdate, LossModule

CLASS_MODULES = ("classifier", "real_prediction", "hash_prediction")  # these see the class losses only
WARM_UP = 3  # updates before one is captured as a CUDA graph
LOOK_AHEAD = 4  # updates that several processes hear ahead of each other's labels


class Trainer:
    """Network, optimiser and schedule of a run; ``step`` makes one update, ``updates`` one of every batch.

    Reads no list file. ``pretrained=False`` keeps the random start (a checkpoint will follow).
    ``amp``: ``off``, or ``bf16`` with float32 master weights, losses and GRM. ``compile_update``
    compiles the update; on a GPU it is also captured as a CUDA graph. Of several processes all
    call ``gather`` before any reads the weights.
    """

    def __init__(self, config: Config, device: str | torch.device = "cpu", *, pretrained: bool = True,
                 amp: str = "off", compile_update: bool = False):
        self.config = config
        self.device = torch.device(device)
        self.iteration = 0  # updates done
        torch.manual_seed(config.seed)  # start values, dropout and multi-label draws
        self.model = IBC(config.model, config.init)
        if pretrained:
            load_pretrained(self.model, config.model)
        self.model.enc_style.alexnet.classifier[6].requires_grad_(False)  # in no group: never trained
        self.model.to(memory_format=torch.channels_last)  # the faster order for convolutions everywhere
        on_gpu = self.device.type == "cuda"
        if on_gpu:
            self.model.blocked_stem = amp == "bf16"
            kernels.work()  # tried here, not under the eyes of torch's compiler
            torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()
        self.model.to(self.device).train()
        self.capture = compile_update and on_gpu
        # What is captured must run on a stream of its own from the start: autograd's nodes remember their stream.
        self._stream = torch.cuda.Stream(self.device) if self.capture else None
        self._captured: tuple[float, CapturedUpdate] | None = None
        self._updates_here = 0
        self.losses = LossModule(self.model, config, amp, compile_update)
        self._class_parameters = [parameter for module in CLASS_MODULES
                                  for parameter in getattr(self.model.enc_style, module).parameters()]
        self.optimizer = make_optimizer(self.model, config, self.capture)
        self._shared: SharedSteps | None = None
        if world_size() > 1:
            same_start(self.model.parameters())
            self._shared = SharedSteps(self.optimizer, self.device)
            self.losses.before_heads = self._shared.gathered
            torch.manual_seed(config.seed + rank())  # from here on dropout differs between processes

    def updates(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, dict[str, Tensor]]]:
        """Each batch, and what ``step`` returns of it.

        Several processes tell each other of their labels some batches ahead, so that none waits for an answer.
        """
        ahead: deque[tuple[Batch, Callable[[], tuple[Half, Half]]]] = deque()
        for batch in batches:
            ahead.append((batch, self._targets(batch.labels)))
            if world_size() == 1 or len(ahead) > LOOK_AHEAD:
                batch, targets = ahead.popleft()
                yield batch, self._step(batch.images, *targets())
        for batch, targets in ahead:
            yield batch, self._step(batch.images, *targets())

    def step(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """One update; returns the eight official losses (0-dim tensors on the device).

        images: (B, 3, H, W), uint8 or already normalised floats, B even. labels: (B, L) float.
        """
        return self._step(images, *self._targets(labels)())

    def _step(self, images: Tensor, plain: Half, masked: Half) -> dict[str, Tensor]:
        if len(images) % 2:
            raise input_error(None, f"a batch of {len(images)} images", "an even number of images")
        self.iteration += 1
        self._updates_here += 1
        factor = lr_factor(self.config, self.iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        images = images.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
        with self._own_stream():
            values = self._run(images, plain, masked, factor)
        return dict(zip(LOSS_NAMES, values.unbind(), strict=True))

    @contextmanager
    def _own_stream(self) -> Iterator[None]:
        """The stream of the captured update, after what was asked of the device before, and before what follows."""
        if self._stream is None:
            yield
            return
        outer = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(outer)
        with torch.cuda.stream(self._stream):
            yield
        outer.wait_stream(self._stream)

    def _run(self, images: Tensor, plain: Half, masked: Half, factor: float) -> Tensor:
        """The update, captured where that is possible: after some ordinary ones, anew when the rate changes."""
        if not self.capture or self._updates_here <= WARM_UP or plain.count + masked.count == 0:
            return self._update(images, plain.to(self.device), masked.to(self.device))
        if self._captured is None or self._captured[0] != factor:
            self._captured = None
            self._captured = (factor, CapturedUpdate(self._update, images, plain.to(self.device),
                                                     masked.to(self.device)))
        return self._captured[1](images, plain, masked)

    def _update(self, images: Tensor, plain: Half, masked: Half) -> Tensor:
        """Forward, backward, Adam, projection; returns the (8,) losses."""
        # Without any label, as in the original, the layers that see the class losses only take no step.
        idle = frozenset(self._class_parameters if plain.count + masked.count == 0 else ())
        if self._shared is not None:
            self._shared.begin()
            self._shared.idle = idle
        values = self.losses(images, plain, masked)
        self.optimizer.zero_grad(set_to_none=True)
        values["loss_total"].backward()
        if self._shared is not None:
            self._shared.finish()
        else:
            for parameter in idle:
                parameter.grad = None
            self.optimizer.step()
        project_grm(self.model.GRM)
        return torch.stack([values[name].detach() for name in LOSS_NAMES])

    def _targets(self, labels: Tensor) -> Callable[[], tuple[Half, Half]]:
        """A call that gives the targets of both halves, in main memory; denominators are summed over all processes."""
        model, half, weights = self.config.model, len(labels) // 2, self.config.model.class_weights
        labels = labels.cpu()
        class_weights = None if weights is None else torch.tensor(weights)
        halves = (plain_half(labels[:half], model.multi_label, model.class_num, class_weights),
                  masked_half(labels[half:], model.multi_label, model.class_num, class_weights))
        local = torch.tensor([[float(part.denominator), part.count] for part in halves], dtype=torch.float64)
        summed = total_later(local)

        def targets() -> tuple[Half, Half]:
            for part, (denominator, count) in zip(halves, summed().tolist(), strict=True):
                # The processes' gradients are averaged; that of a sum over rows needs their number back.
                # Where nothing is summed, the loss is 0.
                part.denominator = torch.tensor(denominator / world_size() if count else 1.0)
                part.count = int(count)
            dtype = self.model.GRM.dtype
            return halves[0].floats(dtype), halves[1].floats(dtype)

        return targets

    def gather(self) -> None:
        """Of several processes all have to call it, at the same update, before any reads the model's weights.

        After a step each has its own rows of the large matrices only.
        """
        if self._shared is not None:
            with self._own_stream():
                self._shared.gather()

    def state(self) -> dict[str, Any]:
        """What ``optimizer.pt`` holds: optimiser, iteration, random state; tensors and plain types.

        Of several processes all have to ask for it, at the same update.
        """
        self.gather()
        random = {"torch": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        return {"optimizer": self.optimizer.state_dict(), "iteration": self.iteration, "random": random}

    def load_state(self, state: dict[str, Any], source: str) -> None:
        """Take back ``state()``, or the official ``{'optimizer'}`` (which leaves iteration and random state)."""
        fresh = [{key: value for key, value in group.items() if key != "params"}
                 for group in self.optimizer.param_groups]
        try:
            self.optimizer.load_state_dict(state["optimizer"])
            fits = all(entry[name].shape == parameter.shape for parameter, entry in self.optimizer.state.items()
                       for name in ("exp_avg", "exp_avg_sq"))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise self._foreign(source, str(error)) from None
        if not fits:
            raise self._foreign(source, "moments of another shape")
        for group, values in zip(self.optimizer.param_groups, fresh, strict=True):
            group.update(values)  # rates and flags come from the config, moments from the file
        for parameter, entry in self.optimizer.state.items():
            entry["step"] = torch.as_tensor(entry["step"], dtype=torch.float32).to(parameter.device)
        self.iteration = int(state.get("iteration", self.iteration))
        random = state.get("random", {})
        if world_size() > 1:  # the file holds one process's state: a new stream for each
            torch.manual_seed(self.config.seed + self.iteration * world_size() + rank())
        elif "torch" in random:
            torch.set_rng_state(random["torch"])
            if "cuda" in random and self.device.type == "cuda":
                torch.cuda.set_rng_state(random["cuda"], self.device)

    @staticmethod
    def _foreign(source: str, reason: str) -> Exception:
        return input_error(source, f"an optimiser state that does not fit ({reason})",
                           "the state of a run with the same network",
                           "delete it to go on with fresh optimiser state")
