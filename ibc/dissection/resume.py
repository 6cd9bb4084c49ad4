"""Interrupted runs: the state of a run in one file, saved now and then, and a gentle Ctrl-C.

The file carries the key of model, data and settings; state of another key is never used.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np

from ibc.files import atomic_write, remove_leftovers
from ibc.signals import StopSignals

State = dict[str, np.ndarray]
STATE_FILE = ".dissection-in-progress.npz"
SAVE_SECONDS = 30.0  # between two saves, at least
SAVE_SHARE = 50      # and at least this many times as long as the last save took


class Interruptible:
    """Keeps the state of a run in a file; Ctrl-C and SIGTERM end the run after the current step, with its state saved.

    Without a file nothing is kept, and the signals do what they always do.
    """

    def __init__(self, path: Path | None, key: str, save_seconds: float = SAVE_SECONDS):
        """path: of the file, or None. key: identifies the run. save_seconds: between two saves, at least."""
        self.path, self.key = path, key
        self.pause = self.save_seconds = save_seconds
        self.last_save = time.monotonic()
        self.signals = StopSignals() if path is not None else StopSignals([])

    def __enter__(self) -> Self:
        self.signals.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.signals.__exit__(*error)

    def load(self) -> State:
        """The saved state; nothing where there is none of this key, or it cannot be read."""
        if self.path is None or not self.path.exists():
            return {}
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                if str(archive["key"]) != self.key:
                    return {}
                return {name: archive[name] for name in archive.files}
        except Exception:  # numpy raises errors of many kinds on a damaged file
            return {}

    def after_step(self, state: Callable[[], State]) -> None:
        """Save ``state()`` if it is time or a signal came; after a signal raise KeyboardInterrupt."""
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
            self.path.unlink(missing_ok=True)
            remove_leftovers(self.path.parent, (self.path.name,))


def unfinished_key(folder: Path) -> str | None:
    """The key of the unfinished run whose state lies in a folder; None without one that can be read."""
    try:
        with np.load(folder / STATE_FILE, allow_pickle=False) as archive:
            return str(archive["key"])
    except Exception:  # numpy raises errors of many kinds on a damaged file
        return None


def with_prefix(prefix: str, state: State) -> State:
    """The same entries, with ``prefix`` before their names."""
    return {prefix + name: value for name, value in state.items()}


def part_of(state: State, prefix: str) -> State:
    """The entries that ``with_prefix`` named, under their own names."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
