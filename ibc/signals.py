"""Signals that ask a program to end, heard at once and obeyed where the work can end well.

By default Ctrl-C is an exception and SIGTERM the end, at any point: in the middle of an update or of a file. Inside
``with StopSignals() as stop`` the first signal is only noted; the work looks at ``stop.noted`` between two steps.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self


class StopSignals:
    """Notes SIGINT and SIGTERM (or the signals given) for the length of a ``with`` block.

    noted: number of the last signal, 0 before the first. A second signal of a kind does what it would do without the
    block, which is to end the work at once. Afterwards the handlers are those of before. Python allows handlers in the
    main thread only: in another one nothing is noted and nothing changes.
    """

    def __init__(self, numbers: Iterable[int] = (signal.SIGINT, signal.SIGTERM)):
        self.noted = 0
        self._numbers = tuple(numbers)
        self._before: dict[int, Any] = {}  # signal -> its handler before the block
        self._kinds: set[int] = set()      # signals that came, each of which may come again
        self._holding = False
        self._held_back = 0                # a second signal of a kind that came in a held section

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in self._numbers:
                self._before[number] = signal.getsignal(number)
                signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back(self._before)

    @contextmanager
    def held(self) -> Iterator[None]:
        """A section that nothing interrupts: a second signal waits for its end."""
        self._holding = True
        for number in tuple(self._kinds):
            signal.signal(number, self._note)
        try:
            yield
        finally:
            self._holding = False
            self._give_back(tuple(self._kinds))
            number, self._held_back = self._held_back, 0
            if number:
                signal.raise_signal(number)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.noted = number
        if self._holding:
            if number in self._kinds:
                self._held_back = number
        else:
            self._give_back([number])
        self._kinds.add(number)

    def _give_back(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            signal.signal(number, self._before[number] or signal.SIG_DFL)  # None: of a library in C, which is lost
