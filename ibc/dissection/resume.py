"""Interrupted runs: the state of a run in one file, saved now and then, and a gentle Ctrl-C.

The file carries the key of model, data and settings; state of another key is never used.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ibc.files import atomic_write
from ibc.signals import StopSignals

State = dict[str, np.ndarray]
SAVE_SECONDS = 30.0  # between two saves, at least
SAVE_SHARE = 50      # and at least this many times as long as the last save took


class Interruptible:
    """Where a run is kept. Without a file nothing is kept and Ctrl-C works as always."""

    def __init__(self, path: Path | None, key: str, save_seconds: float = SAVE_SECONDS):
        self.path, self.key = path, key
        self.pause = self.save_seconds = save_seconds
        self.last_save = time.monotonic()
        self.signals = StopSignals() if path is not None else StopSignals([])

    def __enter__(self) -> Interruptible:
        self.signals.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.signals.__exit__(*error)

    def load(self) -> State:
        """The saved state, or nothing where there is none for this key (or it cannot be read)."""
        if self.path is None or not self.path.exists():
            return {}
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                if str(archive["key"]) != self.key:
                    return {}
                return {name: archive[name] for name in archive.files}
        except Exception:  # of a damaged file, numpy's reader stumbles over anything
            return {}

    def after_step(self, state: Callable[[], State]) -> None:
        """Save ``state()`` when it is time or a stop was asked for; then raise KeyboardInterrupt."""
        if self.path is None:
            return
        if self.signals.noted or time.monotonic() - self.last_save >= self.pause:
            begin = time.monotonic()
            with atomic_write(self.path) as handle:
                np.savez_compressed(handle, key=np.array(self.key), **state())  # type: ignore[arg-type]
            self.last_save = time.monotonic()
            self.pause = max(self.save_seconds, SAVE_SHARE * (self.last_save - begin))
        if self.signals.noted:
            raise KeyboardInterrupt

    def forget(self) -> None:
        """Delete the state, and what a killed run left half-written."""
        if self.path is not None:
            for path in (self.path, *self.path.parent.glob(f".{self.path.name}.*.tmp")):
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()


def with_prefix(prefix: str, state: State) -> State:
    return {prefix + name: value for name, value in state.items()}


def part_of(state: State, prefix: str) -> State:
    """The entries that ``with_prefix`` named."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
