"""Attributes of one evaluation: every attribute's mAP, and customised retrieval of some by bit groups.

An ``AttributePlan`` says what to score; ``evaluate_attributes`` scores it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ibc.codes import CodeSet
from ibc.errors import input_error
from ibc.retrieval.attribute_names import column_names
from ibc.retrieval.attributes import AttributeData, attribute_maps
from ibc.retrieval.bit_groups import BitGroups
from ibc.retrieval.category import CodePair
from ibc.retrieval.customised import Customised, custom_steps, customise
from ibc.retrieval.engine.device import Device, choose_device


@dataclass(frozen=True)
class AttributePlan:
    """What to score of A attributes.

    names: of the A attribute columns. chosen: 0-based columns of the customised retrieval. groups: the bit groups that
    it chooses from; without them there is none. other: codes to choose groups on; without them, halves of the data.
    draws: of random bits. seed: of the draws and of the halves. trusted: data of the figures to trust, where a separate
    database holds queries; see ``trusted_data``.
    """

    data: AttributeData
    names: list[str]
    chosen: list[int]
    groups: BitGroups | None
    other: AttributeData | None
    draws: int
    seed: int
    trusted: AttributeData | None = None

    @property
    def steps(self) -> int:
        """How often ``evaluate_attributes`` calls ``done``."""
        if self.groups is None or not self.chosen:
            return 1
        return 1 + custom_steps(len(self.groups.bits), self.draws, self.other is None)


@dataclass(frozen=True)
class AttributeScores:
    """What a plan gave. official, trusted: order of ties -> (A,) mAP, with the query as a hit, and left out."""

    plan: AttributePlan
    official: dict[str, np.ndarray]
    trusted: dict[str, np.ndarray]
    custom: Customised | None

    @property
    def queries(self) -> np.ndarray:
        """(A,) number of queries that have each attribute."""
        return self.plan.data.query_flags.sum(axis=0)


def evaluate_attributes(plan: AttributePlan, done: Callable[[int], None],
                        ranked: Callable[[float], None] = lambda share: None) -> AttributeScores:
    """Score all attributes, and customised retrieval of the chosen ones where the plan has groups.

    ``done(1)`` is called after each step; ``ranked`` hears the share of the first, the longest one, that is done.
    """
    data, chosen = plan.data, plan.chosen
    official = attribute_maps(data, "hit", ranked)
    trusted = official
    if data.same or plan.trusted is not None:
        trusted = attribute_maps(plan.trusted or data, "exclude", ranked)
    done(1)
    custom = None
    if plan.groups is not None and chosen:
        other = None if plan.other is None else plan.other.columns(chosen)
        custom = customise(data.columns(chosen), plan.groups.bits, other, plan.draws, plan.seed, done)
    return AttributeScores(plan, official, trusted, custom)


def attribute_data(pair: CodePair, device: Device) -> AttributeData:
    """Signs and attribute flags of queries and database; with ``multi_label`` every label is an attribute.

    device: "auto" takes a GPU where it pays. Raises InputError where the two have other attribute columns.
    """
    flags = _flags(pair.queries, pair.multi_label)
    db_flags = flags if pair.same else _flags(pair.database, pair.multi_label, flags.shape[1], pair.db_path)
    signs = pair.queries.bits
    return AttributeData(signs, flags, signs if pair.same else pair.database.bits, db_flags, pair.same,
                         choose_device(device, len(signs) * len(pair.database)))


def trusted_data(pair: CodePair, data: AttributeData) -> AttributeData | None:
    """``data`` without the items of a separate database that are queries; None where there are none.

    Where all of them are queries, each once, each is left out of its own ranking alone.
    """
    overlap = pair.overlap
    if not overlap:
        return None
    if overlap.is_whole:
        rows = overlap.rows
        if not np.array_equal(np.sort(rows), np.arange(len(pair.database))):
            return None
        return replace(data, db_signs=data.db_signs[rows], db_flags=data.db_flags[rows], same=True)
    others = ~overlap.inside
    return replace(data, db_signs=data.db_signs[others], db_flags=data.db_flags[others])


def data_to_choose_on(codes: CodeSet, path: str, pair: CodePair, data: AttributeData) -> AttributeData:
    """Codes on which bit groups are chosen for ``data``, of the file ``path``. Raises InputError if they do not fit."""
    if codes.code_length != pair.queries.code_length:
        raise input_error(path, f"codes of {codes.code_length} bits", f"{pair.queries.code_length}")
    flags = _flags(codes, pair.multi_label, data.attributes, path)
    return AttributeData(codes.bits, flags, codes.bits, flags, True, data.device)


def names_of_columns(pair: CodePair, data: AttributeData, known: Sequence[str], path: str | None) -> list[str]:
    """Names of the attribute columns: from the file ``path``, else ``known`` where they fit, else "column 1" and so on.

    Label sets have no known names.
    """
    return column_names(data.attributes, () if pair.multi_label else known, path)


def _flags(codes: CodeSet, multi_label: bool, width: int | None = None,
           path: str | os.PathLike | None = None) -> np.ndarray:
    """(N, A) bool, the attribute is exactly 1 (2 is missing, 0 and -1 are absent)."""
    flags = codes.labels[:, 0 if multi_label else 1 :] == 1
    if width is not None and flags.shape[1] != width:
        raise input_error(path, f"{flags.shape[1]} attribute columns", f"{width}, as in the codes file of the queries")
    return flags
