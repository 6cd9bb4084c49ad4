"""The JSON that every reporting command writes: numbers, protocol, hashes of the inputs, versions.

And a reader of JSON that others may have changed.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from collections.abc import Iterable
from importlib import metadata
from typing import Any

from ibc import __version__
from ibc.errors import InputError, input_error
from ibc.files import atomic_write, sha256
from ibc.text_files import decode_text

MOST_BYTES = 1 << 28  # of a JSON file that is read
MOST_LEVELS = 50      # of lists and objects within each other


def versions() -> dict[str, str]:
    """Versions of this package, of Python, and of the installed libraries that can change a number."""
    found = {"ibc": __version__, "python": platform.python_version()}
    for name in ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pillow", "numba"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_json(path: str, *, command: str, seed: int | None, protocol: dict[str, Any],
               inputs: Iterable[str | os.PathLike], metrics: dict[str, Any]) -> None:
    """Write the JSON report of a command to the file ``path``, or to stdout for ``-``.

    protocol: how the numbers were computed. inputs: the files they come from; each is named with its SHA-256.
    metrics: name -> number, array or nested dict of such; numbers that are not finite become null.
    """
    report = {
        "command": command,
        "versions": versions(),
        "seed": seed,
        "protocol": protocol,
        "inputs": [{"path": os.fspath(item), "sha256": sha256(item)} for item in inputs],
        "metrics": metrics,
    }
    text = json.dumps(_plain(report), indent=1, allow_nan=False) + "\n"
    if path == "-":
        sys.stdout.write(text)
    else:
        with atomic_write(path, "w") as handle:
            handle.write(text)


def read_json(path: str | os.PathLike, expected: str) -> Any:
    """The content of a JSON file. expected: what it should be, for messages; longer whole numbers become floats.

    Raises InputError for what is no JSON, is larger than ``MOST_BYTES`` or deeper than ``MOST_LEVELS``; OSError where
    it cannot be read.
    """
    with open(path, "rb") as handle:
        data = handle.read(MOST_BYTES + 1)
    return parse_json(data, path, expected)


def parse_json(data: bytes, where: str | os.PathLike, expected: str) -> Any:
    """``read_json`` of bytes that were read from the file ``where``."""
    if len(data) > MOST_BYTES:
        raise input_error(where, f"more than {MOST_BYTES >> 20} MB", expected)
    try:
        value = json.loads(decode_text(data, where), parse_int=_whole_number)
    except RecursionError:
        raise _too_deep(where, expected) from None
    except json.JSONDecodeError as error:
        raise input_error(where, f"text that is not JSON ({error.msg})", expected, line=error.lineno) from None
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [item for inner in level if isinstance(inner, (dict, list))
                 for item in (inner.values() if isinstance(inner, dict) else inner) if isinstance(item, (dict, list))]
        if not level:
            return value
    raise _too_deep(where, expected)


def _too_deep(where: str | os.PathLike, expected: str) -> InputError:
    return input_error(where, f"JSON of more than {MOST_LEVELS} levels", expected)


def _whole_number(text: str) -> int | float:
    number = int(text) if len(text) < 20 else math.inf
    return number if abs(number) < 2**63 else float(text)


def _plain(value: Any) -> Any:
    """Arrays and scalars of numpy/torch as lists and numbers; non-finite numbers as null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
