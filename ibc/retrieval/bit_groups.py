"""Bit groups with names for people: typed, or one for each concept of a dissection table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ibc.errors import input_error
from ibc.retrieval.bits import bits_of_concepts, parse_bits


@dataclass(frozen=True)
class BitGroups:
    """names: of the groups. bits: lists of 0-based bits. chosen_by: what they came from, for the JSON's protocol."""

    names: list[str]
    bits: list[np.ndarray]
    chosen_by: dict[str, Any]


def typed_groups(texts: Sequence[str], length: int) -> BitGroups:
    """Groups typed as ``1,5,9-12``, bits from 1 to ``length``. Raises InputError for other text."""
    return BitGroups([f"group {number}" for number in range(1, len(texts) + 1)],
                     [parse_bits(text, length) for text in texts], {"groups": list(texts)})


def concept_groups(tally: str, concepts: str, min_iou: float, any_category: bool, length: int) -> BitGroups:
    """A group for each of the ``concepts`` (names with commas) of a dissection table; see ``bits_of_concepts``.

    Raises InputError without a name, for an unknown concept, and for a table of more than ``length`` units.
    """
    names = [name.strip() for name in concepts.split(",") if name.strip()]
    if not names:
        raise input_error("--concepts", f"'{concepts}'", "names with commas, as in water,sea")
    bits = [bits_of_concepts(tally, [name], min_iou, any_category=any_category) for name in names]
    if max(map(max, bits)) >= length:
        raise input_error(tally, f"unit {max(map(max, bits)) + 1}", f"units 1 to {length}, the code length",
                          "take the table of the model that made the codes")
    return BitGroups(names, bits, {"concepts": names, "min_iou": min_iou, "any_category": any_category})
