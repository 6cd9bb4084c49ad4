"""Network dissection: which concept each filter of a network, hence each bit of its codes, responds to.

``dissect(encoder, broden, settings) -> Tally``; the command is ``ibc dissect``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ibc.data.broden.dataset import Broden, load_broden
    from ibc.dissection.pipeline import dissect, dissect_layers
    from ibc.dissection.settings import DissectionSettings as Settings
    from ibc.dissection.tally import Tally

__all__ = ["Broden", "Settings", "Tally", "dissect", "dissect_layers", "load_broden"]
_HOME = {  # name: (module, name there)
    "Broden": ("ibc.data.broden.dataset", "Broden"), "load_broden": ("ibc.data.broden.dataset", "load_broden"),
    "Settings": ("ibc.dissection.settings", "DissectionSettings"), "Tally": ("ibc.dissection.tally", "Tally"),
    "dissect": ("ibc.dissection.pipeline", "dissect"), "dissect_layers": ("ibc.dissection.pipeline", "dissect_layers")}


def __getattr__(name: str) -> object:
    """Import on first use: a command's --help need not wait for torch."""
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    module, name_there = _HOME[name]
    return getattr(import_module(module), name_there)
