"""The JSON that every reporting command writes: numbers, protocol, hashes of the inputs, versions."""

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
from ibc.files import atomic_write, sha256


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
