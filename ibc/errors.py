"""The one exception that means: the input is wrong, not the program.

Commands turn it into a single ``error:`` line and exit code 2 (``ibc.commands.command``). Users of the library catch
it as a ``ValueError``.
"""

from __future__ import annotations

import os

from ibc.screen import shortened, visible

MOST_FOUND = 400   # characters of what was found, which is text of a file
MOST_ALL = 1500    # characters of a whole message


class InputError(ValueError):
    """Bad input: a file, a flag or an array that the user can correct.

    The message is one line: where, what was found, what was expected, what to do.
    """


class LostWorker(InputError):
    """A process that worked for this one ended before its work was done; what was done until then is good."""


def input_error(
    where: str | os.PathLike | None,
    found: str,
    expected: str,
    do: str | None = None,
    *,
    line: int | None = None,
    kind: type[InputError] = InputError,
) -> InputError:
    """The error ``WHERE:LINE: found FOUND, expected EXPECTED; DO``, to be raised.

    where: a file or a flag; None: nothing is named. line: of the file, from 1. kind: a subclass of InputError.
    """
    place = "" if where is None else f"{os.fspath(where)}:{line}: " if line else f"{os.fspath(where)}: "
    found = shortened(_one_line(found), MOST_FOUND)
    return kind(one_message(f"{place}found {found}, expected {expected}" + (f"; {do}" if do else "")))


def one_message(text: str) -> str:
    """A message as it is printed: one line, foreign text in it escaped, not longer than ``MOST_ALL``."""
    return shortened(_one_line(text), MOST_ALL)


def _one_line(text: str) -> str:
    return visible(" ".join(text.split()))
