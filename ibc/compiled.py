"""Loops compiled by numba, and where their machine code is kept between runs.

Compiling takes seconds, so numba keeps the result on disk. In a checkout it lies beside the source, in ``__pycache__``.
An installed package writes nothing into its own folder: there it lies in the user's cache folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba

numba_config: Any = numba.config  # numba's types know neither its settings
numba_njit: Any = numba.njit      # nor that a compiled function is called like the plain one
PACKAGE = Path(__file__).resolve().parent

Function = TypeVar("Function", bound=Callable)


def compiled(function: Function) -> Function:
    """Decorator: compile ``function`` at its first call, to run without the interpreter lock.

    The machine code is kept in the folder that ``NUMBA_CACHE_DIR`` names; without it beside the source in a checkout,
    else in ``ibc`` below ``XDG_CACHE_HOME`` (default: ``~/.cache``). Where nothing can be written every process
    compiles for itself. Numba looks for the place here, not at the first call.
    """
    before = numba_config.CACHE_DIR
    folder = before if is_checkout() else cache_folder()
    try:
        numba_config.CACHE_DIR = folder or ""
        return numba_njit(nogil=True, cache=folder is not None)(function)
    except RuntimeError:  # of numba: no place that it knows can be written
        return numba_njit(nogil=True)(function)
    finally:
        numba_config.CACHE_DIR = before


@cache
def is_checkout() -> bool:
    """True where the package lies in a checkout that this process may write to, not in an installation."""
    return (PACKAGE.parent / "pyproject.toml").is_file() and os.access(PACKAGE, os.W_OK)


@cache
def cache_folder() -> str | None:
    """The folder for machine code of an installed package, made if missing; None where there is no writable one."""
    try:
        folder = Path(os.environ.get("NUMBA_CACHE_DIR") or _user_cache() / "ibc")
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # a folder that may not be made; a user without a home
        return None
    return os.fspath(folder) if os.access(folder, os.W_OK | os.X_OK) else None


def _user_cache() -> Path:
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return named if named.is_absolute() else Path.home() / ".cache"  # as the XDG specification says
