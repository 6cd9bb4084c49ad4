"""Retrieval by binary codes: mAP, bit selection, attributes, customised retrieval, mutual information.

The names in ``__all__`` are the documented functions; each is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ibc.retrieval.average_precision import mean_average_precision
    from ibc.retrieval.bits import bits_of_concepts, expert_bits
    from ibc.retrieval.index import CodeIndex, SearchResult, search
    from ibc.retrieval.mutual_info import mutual_info_score

__all__ = ["CodeIndex", "SearchResult", "bits_of_concepts", "expert_bits", "mean_average_precision",
           "mutual_info_score", "search"]
_HOME = {"mean_average_precision": "average_precision", "expert_bits": "bits", "bits_of_concepts": "bits",
         "mutual_info_score": "mutual_info", "search": "index", "CodeIndex": "index", "SearchResult": "index"}


def __getattr__(name: str) -> object:
    """A documented name, imported on first use: importing the package alone stays quick."""
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
