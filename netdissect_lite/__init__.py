"""Network dissection: which concept each filter of a network, hence each bit of its codes, responds to.

``dissect(encoder, broden, settings) -> Tally``; the command is ``python netdissect_lite/main.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netdissect_lite.broden import Broden, load_broden
    from netdissect_lite.options import Settings
    from netdissect_lite.pipeline import dissect, dissect_layers
    from netdissect_lite.tally import Tally

__all__ = ["Broden", "Settings", "Tally", "dissect", "dissect_layers", "load_broden"]
_HOME = {"Broden": "broden", "load_broden": "broden", "Settings": "options", "dissect": "pipeline",
         "dissect_layers": "pipeline", "Tally": "tally"}


def __getattr__(name: str) -> object:
    """Import on first use: the command's --help need not wait for torch."""
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
