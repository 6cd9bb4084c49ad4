"""Running out of memory, on a GPU or in the machine, as an error that names the setting to lower."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ibc.errors import InputError, input_error

_SIGNS = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "size calculation overflowed")
_ASKED = re.compile(r"allocate (?:memory: you tried to allocate )?([\d.,]+ ?(?:[KMGTPE]i?B|bytes))", re.IGNORECASE)
_TOTAL = re.compile(r"total capacity of ([\d.]+ [KMGT]i?B)")


class OutOfMemory(InputError):
    """More memory asked for than there is; a smaller setting helps."""


@contextmanager
def lower_on_memory_error(setting: str, tried: str | Callable[[], str], do: str | Callable[[], str]) -> Iterator[None]:
    """Inside, running out of memory raises OutOfMemory.

    setting: the flag or key to lower. tried: what was computed, with the setting's value. do: what the user can type.
    Functions are called when memory ran out. Inner blocks come first: they know better what was tried.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_memory_error(error):
            raise
        what, advice = (text if isinstance(text, str) else text() for text in (tried, do))
        raise input_error(setting, f"{what}, which take more memory than there is{_amounts(str(error))}",
                          "a smaller setting", advice, kind=OutOfMemory) from error


def memory_error(error: BaseException) -> InputError:
    """What to say of running out of memory where no setting is to blame, such as for weights on a GPU in use."""
    return input_error("memory", f"work that takes more than there is{_amounts(str(error))}", "as much of it, free",
                       "end other programs that hold memory, take smaller settings, or --device cpu", kind=OutOfMemory)


def is_memory_error(error: BaseException) -> bool:
    """Whether an error of torch, of CUDA's libraries, of numpy or of Python means that memory ran out."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS))


def _amounts(text: str) -> str:
    asked, total = _ASKED.search(text), _TOTAL.search(text)
    if not asked:
        return ""
    return f" ({asked[1]} more" + (f", of {total[1]} in all)" if total else ")")
