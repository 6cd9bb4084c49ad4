"""What ``optimizer.pt`` holds: all that a resumed run needs beside its checkpoint, as tensors and plain types."""

from __future__ import annotations

from typing import Any

import torch

from ibc.errors import InputError, input_error
from ibc.processes import rank, world_size
from ibc.trainer import Trainer


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
    settings = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    try:
        optimizer.load_state_dict(state["optimizer"])
        fits = all(entry[name].shape == parameter.shape for parameter, entry in optimizer.state.items()
                   for name in ("exp_avg", "exp_avg_sq"))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise _foreign(source, str(error)) from None
    if not fits:
        raise _foreign(source, "moments of another shape")
    for group, values in zip(optimizer.param_groups, settings, strict=True):
        group.update(values)  # rates and flags come from the configuration, moments from the file
    for parameter, entry in optimizer.state.items():
        entry["step"] = torch.as_tensor(entry["step"], dtype=torch.float32).to(parameter.device)
    trainer.iteration = int(state.get("iteration", trainer.iteration))
    random = state.get("random", {})
    if world_size() > 1:  # the file holds the state of one process: a new stream for each
        torch.manual_seed(trainer.config.seed + trainer.iteration * world_size() + rank())
    elif "torch" in random:
        torch.set_rng_state(random["torch"])
        if "cuda" in random and trainer.device.type == "cuda":
            torch.cuda.set_rng_state(random["cuda"], trainer.device)


def _foreign(source: str, reason: str) -> InputError:
    return input_error(source, f"an optimiser state that does not fit ({reason})",
                       "the state of a run with the same network", "delete it to go on with fresh optimiser state")
