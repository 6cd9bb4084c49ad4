"""What ``optimizer.pt`` holds: all that a resumed run needs beside its checkpoint, as tensors and plain types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ibc.errors import InputError, input_error
from ibc.processes import rank, world_size
from ibc.trainer import Trainer

MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what Adam keeps of a parameter
MOST_STEPS = 2**53  # a float holds whole numbers up to it


def training_state(trainer: Trainer) -> dict[str, Any]:
    """Optimiser, number of updates and random state. Of several processes all ask for it at the same update."""
    trainer.gather()
    random = {"torch": torch.get_rng_state()}
    if trainer.device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state(trainer.device)
    return {"optimizer": trainer.optimizer.state_dict(), "iteration": trainer.iteration, "random": random}


def restore_training(trainer: Trainer, state: dict[str, Any], source: str) -> None:
    """Take back a ``training_state``, or the official ``{'optimizer'}``, which lacks iteration and random state.

    source: the file, for messages. Raises InputError where the state does not fit the network.
    """
    optimizer = trainer.optimizer
    if reason := _misfit(optimizer, state.get("optimizer")):
        raise _foreign(source, reason)
    settings = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    saved = state["optimizer"]
    optimizer.load_state_dict({  # what was checked, and nothing else that the file may hold
        "state": {number: {name: entry[name] for name in MOMENTS} for number, entry in saved["state"].items()},
        "param_groups": [{**own, "params": group["params"]}
                         for own, group in zip(settings, saved["param_groups"], strict=True)]})
    for group, values in zip(optimizer.param_groups, settings, strict=True):
        parameters = group["params"]
        group.clear()
        group.update(values, params=parameters)  # rates and flags come from the configuration, moments from the file
    for parameter, entry in optimizer.state.items():
        entry["step"] = torch.as_tensor(entry["step"], dtype=torch.float32).reshape(()).to(parameter.device)
    trainer.iteration = int(state.get("iteration", trainer.iteration))
    random = state.get("random")
    if world_size() > 1:  # the file holds the state of one process: a new stream for each
        torch.manual_seed(trainer.config.seed + trainer.iteration * world_size() + rank())
    elif isinstance(random, Mapping):
        try:
            if "torch" in random:
                torch.set_rng_state(random["torch"])
            if "cuda" in random and trainer.device.type == "cuda":
                torch.cuda.set_rng_state(random["cuda"], trainer.device)
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:
            raise _foreign(source, f"random state: {error}") from None


def _misfit(optimizer: torch.optim.Optimizer, saved: Any) -> str:
    """What keeps Adam from going on with a saved state; empty where it can."""
    groups = saved.get("param_groups") if isinstance(saved, Mapping) else None
    entries = saved.get("state") if isinstance(saved, Mapping) else None
    if not isinstance(groups, list) or not isinstance(entries, Mapping) or not all(
            isinstance(group, Mapping) and isinstance(group.get("params"), list) for group in groups):
        return "no lists of parameters and moments"
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    if [len(group["params"]) for group in groups] != sizes:
        return f"{len(groups)} groups of other sizes than the network's {len(sizes)}"
    numbers = [number for group in groups for number in group["params"]]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if not all(type(number) is int for number in numbers) or not set(entries) <= set(numbers):
        return "moments of unknown parameters"
    for number, parameter in zip(numbers, parameters, strict=True):
        if number in entries and (reason := _odd_moments(entries[number], parameter)):
            return f"parameter {number}: {reason}"
    return ""


def _odd_moments(entry: Any, parameter: Tensor) -> str:
    """What is wrong with the moments of one parameter; empty where they fit."""
    if not isinstance(entry, Mapping) or not set(MOMENTS) <= set(entry):
        return "no step, exp_avg and exp_avg_sq"
    for name in MOMENTS[1:]:
        value = entry[name]
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.is_meta or (
                value.is_nested or value.layout != torch.strided):
            return f"{name} that is no plain tensor of floats"
        if value.shape != parameter.shape:
            return f"{name} of shape {tuple(value.shape)} for a weight of {tuple(parameter.shape)}"
    step = entry["step"]
    plain = isinstance(step, Tensor) and step.layout == torch.strided and not step.is_meta and step.numel() == 1
    number = step.item() if plain else step
    return "" if type(number) in (int, float) and 0 <= number < MOST_STEPS else "a step that is no number of updates"


def _foreign(source: str, reason: str) -> InputError:
    return input_error(source, f"an optimiser state that does not fit ({reason})",
                       "the state of a run with the same network", "delete it to go on with fresh optimiser state")
