"""The check of every name that a file gives and that becomes a path, a part of a path or a member of an archive.

A checkpoint, a manifest or an archive may come from a stranger. What it names must stay where it belongs.
"""

from __future__ import annotations

import os

from ibc.errors import InputError, input_error

LONGEST = 255  # bytes of one part of a path, as file systems have it


def leads_out(path: str) -> bool:
    """Whether a relative path that a file gives is none: empty, absolute, or leading out of the folder it starts in."""
    return not path or path.startswith(os.sep) or "\0" in path or (".." in path and ".." in path.split(os.sep))


def is_plain_name(name: str) -> bool:
    """Whether a text can be the name of one file or folder: no path, not too long, not '.' or '..'."""
    return not leads_out(name) and os.sep not in name and name != "." and (
        len(name.encode(errors="surrogatepass")) <= LONGEST)


def inside(path: str, where: str | os.PathLike | None, below: str, *, line: int | None = None) -> str:
    """The same path, which lies below a folder. Raises InputError for one that does not.

    where, line: the file that gives it. below: the folder, for messages.
    """
    if leads_out(path):
        raise input_error(where, f"path '{path}'", f"a path below {below}", line=line)
    return path


def plain_name(name: str, where: str | os.PathLike | None, what: str, do: str | None = None, *, line: int | None = None,
               kind: type[InputError] = InputError) -> str:
    """The same name, which is one part of a path. Raises InputError for another one.

    where, line: the file that gives it. what: it is, for messages: "model_name: x". do, kind: as for ``input_error``.
    """
    if not is_plain_name(name):
        raise input_error(where, f"{what} '{name}'", f"a plain name without '{os.sep}', of at most {LONGEST} bytes", do,
                          line=line, kind=kind)
    return name
