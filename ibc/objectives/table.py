"""The objectives by the name that a configuration gives them."""

from __future__ import annotations

from typing import Any

from ibc.config import Config
from ibc.objectives.ibc import IbcObjective
from ibc.objectives.ibc_plus import IbcPlusObjective
from ibc.objectives.objective import Objective

OBJECTIVES: dict[str, type[Objective[Any]]] = {"ibc": IbcObjective, "ibc_plus": IbcPlusObjective}


def make_objective(config: Config) -> Objective[Any]:
    """The objective of a configuration, its own layers freshly drawn."""
    return OBJECTIVES[config.objective](config)
