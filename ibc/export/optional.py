"""Libraries that only an export needs; ``pip install 'ibc[export]'`` installs them all."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ibc.errors import input_error


def optional_library(name: str, purpose: str) -> Any:
    """The module ``name``. Raises InputError where it is not installed; purpose: who asks for it, begins the message.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise input_error(purpose, f"no usable library '{name}' ({error})", "an installed one",
                          "run: pip install 'ibc[export]'") from None
