"""The loop around the updates: batches in; checkpoints, TensorBoard scalars and a progress line out.

A run can stop at any time. A signal lets the current update finish and saves. ``resume`` then goes on with the batches
and the random numbers that would have come.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import yaml

from ibc import checkpoint
from ibc.cards import write_model_card
from ibc.config import Config
from ibc.data.batch import Batch
from ibc.data.list_file import ListDigest, list_change
from ibc.data.loader import images_for_training, training_batches
from ibc.errors import InputError, LostWorker, input_error
from ibc.files import atomic_write, only_writer, remove_leftovers
from ibc.frozen.features import frozen_batches
from ibc.memory import OutOfMemory, lower_on_memory_error
from ibc.network import IBC
from ibc.processes import any_process, is_main, mean_over_processes, rank, restarted, world_size
from ibc.screen import show
from ibc.signals import StopSignals
from ibc.train_log import TrainingLog, warn
from ibc.train_state import restore_training, training_state
from ibc.trainer import Trainer

Validate = Callable[[IBC], float]  # a network in eval mode -> mAP


@dataclass
class RunFolders:
    """Where a run writes: the official layout below ``--output_path``."""

    output_path: Path
    model_name: str

    @property
    def logs(self) -> Path:
        """TensorBoard's files."""
        return self.output_path / "logs" / self.model_name

    @property
    def run(self) -> Path:
        """The effective configuration, the model card, and ``checkpoints``."""
        return self.output_path / "outputs" / self.model_name

    @property
    def checkpoints(self) -> Path:
        """Checkpoints, and ``optimizer.pt``."""
        return self.run / "checkpoints"


def train(config: Config, output_path: str | os.PathLike, device: torch.device, *, resume: bool = False,
          init_from: str | None = None, amp: str = "off", compile_update: bool = False,
          skip_bad: bool = False, validate: Validate | None = None, features: Path | None = None) -> int:
    """Train until ``max_iter`` updates are done. Returns 0, or 128 + the number of the signal that stopped the run.

    resume: go on from the last checkpoint. init_from: a checkpoint whose weights are the start. amp, compile_update: as
    for ``Trainer``. skip_bad: replace unreadable images. validate: scores the network every ``val_iter`` updates.
    features: folder of the kept features of a frozen backbone, shared by several runs; None: one of this run.
    Raises InputError for bad data, for a loss that is not finite, and where ``resume`` does not fit what the folder
    holds.
    """
    config.require("max_iter", "batch_size", "model_name", "snapshot_save_iter", "log_iter")
    folders = RunFolders(Path(output_path), config.model_name)
    if restarted():  # the same command again, by torchrun: go on where the lost attempt had saved
        resume = bool(checkpoint.list_checkpoints(folders.checkpoints))
    if not resume and checkpoint.list_checkpoints(folders.checkpoints):
        raise input_error(folders.checkpoints, "checkpoints of an earlier run", "a folder without",
                          "go on with --resume, delete them, or choose another --output_path or model_name")
    images = images_for_training(config)
    digest = images.digest()
    if is_main():
        remove_leftovers(folders.checkpoints)
    size = config.model
    with lower_on_memory_error("model.code_len", f"a network of {size.code_len} bits, {size.class_num} classes and "
                               f"layers of {size.fc_dim}", "lower code_len, class_num or fc_dim"):
        trainer = Trainer(config, device, pretrained=not (resume or init_from), amp=amp, compile_update=compile_update)
    if resume:
        _resume(trainer, folders.checkpoints, digest)
    elif init_from:
        checkpoint.load_weights(trainer.model, checkpoint.find_checkpoint(init_from))
    if trainer.iteration >= config.max_iter:
        show(f"nothing left to train: {trainer.iteration} of {config.max_iter} updates are done")
        return 0
    place: dict[str, Any] = {"skip_bad": skip_bad, "rank": rank(), "size": world_size()}
    if config.model.freeze == "backbone":
        batches = frozen_batches(trainer.model, config, images, trainer.iteration,
                                 features or folders.run / "features", device, shared=features is not None,
                                 centre=not (resume or init_from), **place)
    else:
        batches = training_batches(config, images, trainer.iteration, device, **place)
    begin, names = trainer.iteration, trainer.objective.loss_names
    with only_writer(folders.checkpoints) if is_main() else nullcontext(), _less_memory(config, folders), (
            TrainingLog(config, folders.logs, begin, names)) as log, AgreedStop() as stop:
        if is_main():
            _write_config(config, folders.run / "config.yaml")
        try:
            for batch, values in trainer.updates(_marked(batches)):
                _after_update(trainer, values, batch, log, folders, digest, validate, stop)
                if stop.agreed:
                    break
        except (NoBatch, LostWorker) as error:  # between two updates: what was learnt until here is good
            _save_after_error(trainer, begin, folders.checkpoints, digest, error)
            raise
    if stop.agreed:
        if is_main():
            show(f"stopped after update {trainer.iteration} by {signal.Signals(stop.agreed).name}, saved; "
                  "go on with the same command and --resume")
        return 128 + stop.agreed
    if is_main():
        show(f"Finish training: {folders.checkpoints / checkpoint.NAME.format(trainer.iteration)}")
    return 0


def _write_config(config: Config, path: Path) -> None:
    with atomic_write(path, "w") as handle:
        handle.write(f"# effective configuration of this run, from {config.source}\n")
        yaml.safe_dump(config.as_dict(), handle, sort_keys=False)


def _less_memory(config: Config, folders: RunFolders) -> AbstractContextManager:
    """Inside, running out of memory names the size of the batch and says where a resumed run goes on."""
    height, width = config.crop_size

    def advice() -> str:
        saved = checkpoint.list_checkpoints(folders.checkpoints)
        goes_on = f" with --resume, which goes on from update {saved[-1][0]}" if saved else ""
        return f"take a smaller one, as in --set batch_size={max(config.batch_size // 4 * 2, 2)}{goes_on}"

    return lower_on_memory_error("batch_size", f"updates of {config.batch_size} images of {height} x {width} pixels",
                                 advice)


class NoBatch(InputError):
    """The next batch cannot be made, since an image cannot be read."""


def _marked(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; an error in the making of one is told from those of an update."""
    try:
        yield from batches
    except LostWorker:
        raise
    except InputError as error:
        raise NoBatch(str(error)) from None


def _save_after_error(trainer: Trainer, begin: int, folder: Path, digest: ListDigest, error: InputError) -> None:
    """Save the updates since ``begin``, which are good, and say so in an error of the same kind.

    Nothing is saved where a bad image ends a run before its first checkpoint: the same command then starts anew.
    Of several processes the others would not take part in saving.
    """
    first = not checkpoint.list_checkpoints(folder)
    if trainer.iteration == begin or world_size() > 1 or (first and isinstance(error, NoBatch)):
        return
    save(trainer, folder, digest)
    raise type(error)(f"{error}; the state after update {trainer.iteration} is saved, go on with --resume") from None


def _after_update(trainer: Trainer, values: dict[str, torch.Tensor], batch: Batch, log: TrainingLog,
                  folders: RunFolders, digest: ListDigest, validate: Validate | None, stop: AgreedStop) -> None:
    """Log, validate and save, where the number of the update asks for it."""
    config, done = trainer.config, trainer.iteration
    last = done == config.max_iter
    logs = done % config.log_iter == 0 or last
    saves = done % config.snapshot_save_iter == 0 or last
    validates = bool(validate and config.val_iter and (done % config.val_iter == 0 or last))
    stop.agree(done, now=logs or saves or validates)
    saves = saves or bool(stop.agreed)
    log.update(done, values, [error.path for error in batch.skipped], look=logs or saves or validates)
    if logs:
        log.log(done, {name: mean_over_processes(value) for name, value in values.items()})
    if validates and validate is not None:
        trainer.gather()
        if is_main():
            trainer.model.eval()
            try:
                with trainer.objective.in_use(trainer.model):
                    log.validated(done, validate(trainer.model))
            except OutOfMemory:
                if world_size() == 1:  # of several, the others do not save now
                    save(trainer, folders.checkpoints, digest)
                raise
            trainer.model.train()
    if saves:
        save(trainer, folders.checkpoints, digest, log.val_map)


def save(trainer: Trainer, folder: Path, digest: ListDigest, val_map: float | None = None) -> None:
    """Write the checkpoint, then ``optimizer.pt``, which names it: so the checkpoint that it names is always there.

    digest: of the training list, which a resumed run compares with its own. val_map: of the last validation, for the
    model card, which comes last. All processes call it, the main one writes.
    """
    state = training_state(trainer) | {"train_list": digest}
    if not is_main():
        return
    beside = trainer.objective.own_state(trainer.model)
    with trainer.objective.in_use(trainer.model):
        checkpoint.save_checkpoint(folder, trainer.model, trainer.iteration, trainer.config.as_dict(), beside)
    checkpoint.save_file(folder / checkpoint.OPTIMIZER, state)
    checkpoint.prune(folder, trainer.config.keep_last, trainer.iteration)
    name = checkpoint.NAME.format(trainer.iteration)
    write_model_card(folder.parent, trainer.config,
                     f"{folder.name}/{name}, update {trainer.iteration} of {trainer.config.max_iter}",
                     int(digest["images"]), val_map)


def _resume(trainer: Trainer, folder: Path, digest: ListDigest) -> None:
    """Continue from the iteration that ``optimizer.pt`` names, or from the newest checkpoint.

    digest: of the training list now; another than that of the run is warned of.
    """
    present = dict(checkpoint.list_checkpoints(folder))
    if not present:
        raise input_error(folder, "no checkpoint to resume from", f"a file such as {checkpoint.NAME.format(0)}",
                          "start without --resume, or check --output_path and model_name")
    path = folder / checkpoint.OPTIMIZER
    state: dict[str, Any] = checkpoint.read_file(path) if path.exists() else {}
    iteration = state.get("iteration", max(present))
    if not isinstance(iteration, int):
        raise input_error(path, f"the iteration {iteration!r}", "a whole number", "take another optimizer.pt")
    if iteration not in present:
        raise input_error(path, f"the state after update {iteration}, whose checkpoint is gone",
                          checkpoint.NAME.format(iteration),
                          "delete optimizer.pt to go on from the newest checkpoint with fresh optimiser state")
    checkpoint.load_weights(trainer.model, present[iteration])
    own = checkpoint.read_objective(present[iteration], trainer.objective.own_state(trainer.model))
    trainer.objective.take_state(trainer.model, own)
    trainer.iteration = iteration
    if not state:
        warn(f"{path} is missing: going on from update {iteration} with fresh optimiser state")
        return
    if "iteration" not in state:
        warn(f"{path} does not say which checkpoint it belongs to: taking the newest, {iteration}")
    restore_training(trainer, state, str(path))
    before = state.get("train_list")  # no earlier version wrote it
    if isinstance(before, dict) and all(isinstance(value, (int, str)) for value in before.values()) and (
            change := list_change(before, digest)):
        warn(f"the training list is another than that of the run: {change}; the run goes on with the new one")


class AgreedStop(StopSignals):
    """Stop signals of several processes, each of which hears its own: all of them stop after the same update.

    agreed: number of the signal that stops the run, 0 while it goes on; the same in all processes. An update may never
    end: a signal to all processes of a job also ends those that compile for torch, and it waits for them. Then the
    process ends without saving.
    """

    AGREE_EVERY = 10  # updates between two agreements
    PATIENCE = 300.0  # seconds that an update may still take after the signal

    def __init__(self) -> None:
        super().__init__()
        self.agreed = 0
        self._late: threading.Timer | None = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        super()._note(number, frame)
        if self._late is None:
            self._late = threading.Timer(self.PATIENCE, self._give_up, [number])
            self._late.daemon = True
            self._late.start()

    def _give_up(self, number: int) -> None:
        show(f"error: stopped by {signal.Signals(number).name}, but the update did not end within {self.PATIENCE:g} s; "
             "not saved: go on from the last checkpoint with the same command and --resume", sys.stderr)
        os._exit(128 + number)

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        if self._late is not None:
            self._late.cancel()

    def agree(self, update: int, now: bool) -> None:
        """Stop now, if this process (or, of several, any) was asked to.

        now: agree after this update in any case. That must be asked before this process waits for its GPU: a GPU waits
        for the other processes' for ever, but a lost process is noticed here.
        """
        if self._late is not None:
            self._late.cancel()  # this update has ended
        if world_size() == 1:
            self.agreed = self.noted
        elif now or update % self.AGREE_EVERY == 0:
            self.agreed = any_process(self.noted)
