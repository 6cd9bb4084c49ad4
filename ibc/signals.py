"""Signals that ask a program to end, heard at once and obeyed where the work can end well.

By default Ctrl-C is an exception and SIGTERM the end, at any point: in the middle of an update or of a file. Inside
``with StopSignals() as stop`` the first signal is only noted; the work looks at ``stop.noted`` between two steps. The
second signal ends the program at once, whatever it does then: in a command the system itself ends it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, Self


def interrupt_once(_number: int, _frame: FrameType | None) -> NoReturn:
    """The handler of Ctrl-C in a command: KeyboardInterrupt, and the next one ends the process without Python's help.

    Where a first Ctrl-C is followed by the end of threads and worker processes, a second one always works.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


@contextmanager
def interruptible_once() -> Iterator[None]:
    """For the length of a command, Ctrl-C is ``interrupt_once``, unless a program around it handles it otherwise."""
    ours = (threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    if ours:
        signal.signal(signal.SIGINT, interrupt_once)
    try:
        yield
    finally:
        if ours and signal.getsignal(signal.SIGINT) is interrupt_once:
            signal.signal(signal.SIGINT, signal.default_int_handler)


class StopSignals:
    """Notes SIGINT and SIGTERM (or the signals given) for the length of a ``with`` block.

    noted: number of the first signal, 0 before it. A second signal, of whatever kind, does what it would do without
    the block, and in a command ends the process. Under torchrun it has to be the second of its kind: there Ctrl-C
    reaches a process twice, as SIGINT and as torchrun's SIGTERM. Afterwards the handlers are those of before. Python
    allows handlers in the main thread only: in another one nothing is noted and nothing changes.
    """

    def __init__(self, numbers: Iterable[int] = (signal.SIGINT, signal.SIGTERM)):
        self.noted = 0
        self._numbers = tuple(numbers)
        self._before: dict[int, Any] = {}  # signal -> its handler before the block
        self._given_back: set[int] = set()  # signals that have their handler of before again
        self._held_back = 0                 # a second signal that came in a held section
        self._holding = False

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
        """A section that no exception interrupts: where a second signal would raise one, it waits for the end."""
        self._holding = True
        for number in filter(self._raises, self._given_back):
            signal.signal(number, self._note)
        try:
            yield
        finally:
            self._holding = False
            self._give_back(self._given_back)
            number, self._held_back = self._held_back, 0
            if number:
                signal.raise_signal(number)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number in self._given_back:  # the second one, in a held section
            self._held_back = number
            return
        self.noted = self.noted or number
        self._given_back |= {number} if "TORCHELASTIC_RUN_ID" in os.environ else set(self._before)
        self._give_back(each for each in self._given_back if not (self._holding and self._raises(each)))

    def _raises(self, number: int) -> bool:
        """Whether the handler of before raises an exception, so that it may have to wait."""
        return callable(self._before[number]) and not self._ends(number)

    def _ends(self, number: int) -> bool:
        """Whether the next signal of this number is the system's to obey: it ends the process."""
        before = self._before[number]
        return before is None or (before is interrupt_once and self.noted > 0)  # None: of a library in C, which is lost

    def _give_back(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL if self._ends(number) else self._before[number])
