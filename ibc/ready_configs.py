"""The ready configurations: the paper's settings, CIFAR-10, the demo.

They lie in ``configs/``, which an installation carries within the package.
"""

from __future__ import annotations

import os
from pathlib import Path

from ibc.errors import input_error


def ready_folder() -> Path:
    """The folder of the ready configurations: within an installed package, beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    within = package / "configs"
    return within if within.is_dir() else package.parent / "configs"


def ready_names() -> list[str]:
    """File names of the ready configurations, such as ``cifar10.yaml``, and plans of studies, sorted."""
    return sorted(path.name for path in ready_folder().glob("*.yaml"))


def ready_config(name: str) -> Path:
    """The ready configuration of a file name. Raises InputError where there is none of that name."""
    path = ready_folder() / name
    if name not in ready_names():
        raise input_error(path, "no such file", "one of " + ", ".join(ready_names()))
    return path


def find_config(path: str | os.PathLike) -> Path:
    """The file ``path``; where there is none, the ready configuration of this name, written with or without configs/.

    A path that is neither comes back as it is: whoever reads it says what is wrong.
    """
    path = Path(path)
    ready = path.parent in (Path(), Path("configs")) and path.name in ready_names()
    return ready_config(path.name) if ready and not path.exists() else path
