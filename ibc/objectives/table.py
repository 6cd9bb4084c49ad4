"""The objectives by the name that a configuration gives them."""

from __future__ import annotations

from typing import Any

from ibc.config import Config
from ibc.objectives.cross_entropy import CrossEntropyObjective
from ibc.objectives.csq import CsqObjective
from ibc.objectives.dpn import DpnObjective
from ibc.objectives.greedy_hash import GreedyHashObjective
from ibc.objectives.hashnet import HashNetObjective
from ibc.objectives.ibc import IbcObjective
from ibc.objectives.ibc_plus import IbcPlusObjective
from ibc.objectives.objective import Objective
from ibc.objectives.orthohash import OrthoHashObjective

OBJECTIVES: dict[str, type[Objective[Any]]] = {
    "ibc": IbcObjective, "ibc_plus": IbcPlusObjective, "orthohash": OrthoHashObjective, "csq": CsqObjective,
    "dpn": DpnObjective, "greedyhash": GreedyHashObjective, "hashnet": HashNetObjective,
    "cross_entropy": CrossEntropyObjective,
}


def make_objective(config: Config) -> Objective[Any]:
    """The objective of a configuration, its own layers freshly drawn."""
    return OBJECTIVES[config.objective](config)
