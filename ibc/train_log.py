"""What a training run reports: progress line, official log lines, TensorBoard scalars, losses that are not finite.

The loss tensors of each update come in. They stay on their device until a number has to be shown.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType

import torch

from ibc.config import Config
from ibc.errors import InputError
from ibc.processes import is_main
from ibc.progress import Progress
from ibc.schedule import lr_factor
from ibc.screen import show


def warn(text: str) -> None:
    """One warning line on stderr, from the main process."""
    if is_main():
        show(f"warning: {text}", sys.stderr)


class TrainingLog:
    """The log of a run.

    folder: for TensorBoard's files. iteration: updates done before this start. names: of the losses.
    """

    def __init__(self, config: Config, folder: Path, iteration: int, names: tuple[str, ...]):
        self.config, self.folder, self.start, self.names = config, folder, iteration, names
        self.first_bad: torch.Tensor | None = None  # for each loss: the first update where it was not finite, or 0
        self.skipped = 0
        self.note = ""
        self.val_map: float | None = None

    def __enter__(self) -> TrainingLog:
        self.writer = self.bar = None
        if is_main():
            from ibc.scalar_log import ScalarLog  # noqa: PLC0415 - the main process alone needs TensorBoard

            self.writer = ScalarLog(self.folder, self.start + 1 if self.start else None)
            batch = self.config.batch_size
            self.bar = Progress(self.config.max_iter * batch, "training", "images", initial=self.start * batch)
        self.clock, self.clock_at = time.perf_counter(), self.start
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self.writer is not None and self.bar is not None:
            self.writer.close()
            if self.writer.error is not None:
                warn(f"{self.writer.path}: {self.writer.error.strerror}; the scalars of TensorBoard are not complete")
            self.bar.__exit__(kind, error, trace)
        if self.skipped:
            warn(f"{self.skipped} unreadable images were replaced by others")

    def update(self, done: int, values: dict[str, torch.Tensor], bad: list[str], look: bool) -> None:
        """Note one update. look: read the values now, for which a GPU has to finish its work."""
        stacked = torch.stack([values[name] for name in self.names])
        if self.first_bad is None:
            self.first_bad = torch.zeros(len(self.names), dtype=torch.int64, device=stacked.device)
        self.first_bad = torch.where(torch.isfinite(stacked) | (self.first_bad > 0), self.first_bad, done)
        if look or stacked.device.type == "cpu":
            self._demand_finite()
        self.skipped += len(bad)
        if bad and self.bar is not None:
            self.bar.write(f"skipped: {', '.join(bad)}")
        if self.bar is not None:
            if stacked.device.type == "cpu":
                self._renew_note(values)
            self.bar.update(self.config.batch_size, self.note)

    def _demand_finite(self) -> None:
        found = self.first_bad.tolist()  # type: ignore[union-attr]
        earliest = min((number for number in found if number), default=0)
        if earliest:
            terms = [name for name, number in zip(self.names, found, strict=True) if number == earliest]
            raise InputError(f"update {earliest}: {terms[0]} is not finite; lower lr (or look at the images and "
                             f"labels of that batch), then go on from the last checkpoint with --resume")

    def _renew_note(self, values: dict[str, torch.Tensor]) -> None:
        self.note = f"loss {float(values['loss_total']):.4g}"
        if self.val_map is not None:
            self.note += f", val mAP {self.val_map:.4f}"

    def log(self, done: int, values: dict[str, torch.Tensor]) -> None:
        """The official line and scalars, at step = updates done."""
        now = time.perf_counter()
        images_per_s = (done - self.clock_at) * self.config.batch_size / max(now - self.clock, 1e-9)
        self.clock, self.clock_at = now, done
        if self.writer is None or self.bar is None:
            return
        self._renew_note(values)
        for name in self.names:
            self.writer.add_scalar(name, float(values[name]), done)
        self.writer.add_scalar("lr", self.config.lr * lr_factor(self.config, done), done)
        self.writer.add_scalar("images_per_s", images_per_s, done)
        self.bar.write(f"Iteration: {done:08d}/{self.config.max_iter:08d}  {self.note}  {images_per_s:.1f} images/s",
                       sys.stdout)

    def validated(self, done: int, value: float) -> None:
        """Report the mAP of a validation after update ``done``."""
        self.val_map = value
        if self.writer is not None and self.bar is not None:
            self.writer.add_scalar("val_map", value, done)
            self.bar.write(f"validation at {done}: mAP {value:.4f}", sys.stdout)
