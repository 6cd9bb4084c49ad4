"""The one exception that means: the input is wrong, not the program.

Commands turn it into a single ``error:`` line and exit code 2 (``ibc.commands.command``). Users of the library catch
it as a ``ValueError``.
"""

from __future__ import annotations

import os


class InputError(ValueError):
    """Bad input: a file, a flag or an array that the user can correct.

    The message is one line: where, what was found, what was expected, what to do.
    """


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
    text = f"{place}found {found}, expected {expected}" + (f"; {do}" if do else "")
    return kind(" ".join(text.split()))
