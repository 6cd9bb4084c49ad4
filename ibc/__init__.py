"""IBC: interpretable binary codes for customised image retrieval.

Sub-modules load on first use (``ibc.network``, ``ibc.trainer``, ...), so that
``import ibc`` and every ``--help`` stay quick: torch is imported only where it is needed.
"""

import importlib

__version__ = "1.0.0"

_SUBMODULES = {
    "checkpoint", "cli", "codes", "config", "data", "distributed", "errors", "extraction", "files",
    "journal", "losses", "network", "pretrained", "schedule", "targets", "trainer", "training", "typed_yaml",
    "update",
}


def __getattr__(name):
    if name in _SUBMODULES:
        return importlib.import_module(f"ibc.{name}")
    raise AttributeError(f"module 'ibc' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_SUBMODULES])
