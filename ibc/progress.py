"""Progress of long work on stderr: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

from ibc.errors import InputError
from ibc.screen import show, visible

T = TypeVar("T")
PLAIN_PROGRESS_SECONDS = 10.0  # between two lines where stderr is not a terminal
SHARE_SECONDS = 1.0  # between two looks at how much of an item is done


class Progress:
    """Counts items and shows the number done, the rate, the time left and a note; use it in a ``with`` statement.

    total: items in all, None if unknown. what: the work, such as ``scoring``. unit: what the items are.
    initial: items done by an earlier run.
    """

    def __init__(self, total: int | None, what: str, unit: str = "images", initial: int = 0):
        self.total, self.what, self.unit = total, what, unit
        self.done = self.initial = initial
        self.start = self.last_line = self.last_share = time.monotonic()
        self.note = self.share = ""
        self.bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm  # noqa: PLC0415 - only a terminal needs it

            self.bar = tqdm(total=total, desc=visible(what), unit=f" {unit}", initial=initial, dynamic_ncols=True)

    def update(self, count: int = 1, note: str = "") -> None:
        """``count`` more items are done. note: shown from now on, where it is not empty."""
        self.done += count
        self.note = note or self.note
        ended = bool(count and self.share)
        self.share = "" if ended else self.share
        if self.bar is not None:
            if note or ended:
                self.bar.set_postfix_str(visible(self.note), refresh=False)
            self.bar.update(count)
        elif time.monotonic() - self.last_line >= PLAIN_PROGRESS_SECONDS:
            self._line()

    def within(self, share: float) -> None:
        """Show how much of the next item is done, from 0 to 1, where one item takes long."""
        now = time.monotonic()
        if now - self.last_share >= SHARE_SECONDS:
            self.last_share, self.share = now, f"{share:.0%} of the next"
            if self.bar is not None:
                self.bar.set_postfix_str(self.share)
            elif now - self.last_line >= PLAIN_PROGRESS_SECONDS:
                self._line()

    def write(self, text: str, stream: TextIO | None = None) -> None:
        """Print a line above the bar, on stderr or ``stream``."""
        stream = stream or sys.stderr
        if self.bar is not None:
            self.bar.write(visible(text), file=stream)
        else:
            show(text, stream)

    def _line(self) -> None:
        self.last_line = time.monotonic()
        elapsed = max(self.last_line - self.start, 1e-9)
        rate = (self.done - self.initial) / elapsed
        of = f"/{self.total}" if self.total is not None else ""
        left = ""
        if self.total is not None and rate > 0 and self.done < self.total:
            left = f", {(self.total - self.done) / rate:.0f} s left"
        note = f", {self.share or self.note}" if self.share or self.note else ""
        show(f"{self.what}: {self.done}{of} {self.unit}, {rate:.1f}/s{left}{note}", sys.stderr)

    def close(self) -> None:
        """Show the last state; nothing is shown afterwards."""
        if self.bar is not None:
            self.bar.close()
        else:
            self._line()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.bar is not None or kind is None or not issubclass(kind, InputError | OSError):
            self.close()  # bad input ends with its error line alone


def track(items: Iterable[T], what: str, total: int | None = None, unit: str = "items") -> Iterator[T]:
    """Yield ``items`` one by one under a progress bar. total: by default their length, where they have one."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    with Progress(total, what, unit) as bar:
        for item in items:
            yield item
            bar.update()
