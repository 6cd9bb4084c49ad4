"""Attributes in the evaluation commands: every attribute's mAP, and customised retrieval by bit groups.

Codes, flags and bit groups flow in; official lines, tables and the metrics of the JSON flow out.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ibc.codes import CodeSet, load_codes
from ibc.errors import input_error
from ibc.report.tables import columns, number, official
from ibc.retrieval.attribute_names import column_names, find_column
from ibc.retrieval.attributes import Data, attribute_maps
from ibc.retrieval.bits import bits_of_concepts, parse_bits
from ibc.retrieval.category import Pair
from ibc.retrieval.customised import Customised, custom_steps, customise
from ibc.retrieval.engine.device import choose_device


@dataclass
class Groups:
    """Bit groups with names for people. bits: 0-based lists. chosen_by: what they came from, for the protocol."""

    names: list[str]
    bits: list[np.ndarray]
    chosen_by: dict[str, Any]


@dataclass
class AttributeEvaluation:
    """Attributes of one evaluation: what to do, and after ``run`` what came out.

    names: of the A columns. chosen: columns of the customised retrieval. announced: they get official lines.
    other: codes to choose groups on.
    official, trusted: tie rule -> (A,) mAP with the query as a hit, and left out.
    """

    data: Data
    names: list[str]
    chosen: list[int]
    announced: bool
    groups: Groups | None
    other: Data | None
    draws: int
    seed: int
    official: dict[str, np.ndarray] = field(default_factory=dict)
    trusted: dict[str, np.ndarray] = field(default_factory=dict)
    custom: Customised | None = None

    def run(self, done: Callable[[int], None]) -> None:
        self.official = attribute_maps(self.data, "hit")
        self.trusted = attribute_maps(self.data, "exclude") if self.data.same else self.official
        done(1)
        if self.groups is not None and self.chosen:
            other = self.other.columns(self.chosen) if self.other is not None else None
            part = self.data.columns(self.chosen)
            self.custom = customise(part, self.groups.bits, other, self.draws, self.seed, done)

    @property
    def steps(self) -> int:
        """How often ``run`` says that something is done."""
        if self.groups is None or not self.chosen:
            return 1
        return 1 + custom_steps(len(self.groups.bits), self.draws, self.other is None)

    def official_lines(self) -> list[str]:
        lines = []
        for place, column in enumerate(self.chosen if self.announced else []):
            name = self.names[column]
            lines.append(f"Retrieval mAP of {name} attribute retrieval: {official(self.official['stable'][column])}")
            if self.custom is not None:
                value = self.custom.oracle.map[place]
                lines.append(f"Retrieval mAP of {name} attribute customized retrieval: {value:.4f}")
        return lines

    def lines(self) -> list[str]:
        """Tables: all attributes, then the customised retrieval of the chosen ones."""
        if not self.names:
            return ["", "no attribute columns in the codes file"]
        lines = ["", *columns(list(self._attribute_cells()))]
        if self.custom is None:
            lines.append("no bit groups given (--groups, or --dissection with --concepts): no customised retrieval")
        else:
            assert self.groups is not None
            lines += self.custom.lines([self.names[column] for column in self.chosen], self.groups.names,
                                       self.groups.bits, "queries as a hit" if self.data.same else "separate database")
        return lines

    def _attribute_cells(self) -> list[tuple[str, ...]]:
        first, second = (("query as a hit (official)", "query left out") if self.data.same
                         else ("separate database (official)", "separate database"))
        cells: list[tuple[str, ...]] = [("attribute", "", "queries", first, second),
                                        ("", "", "", "database order", "expected [worst, best order]")]
        queries = self.data.query_flags.sum(axis=0)
        for column, name in enumerate(self.names):
            bounds = f"[{number(self.trusted['pessimistic'][column])}, {number(self.trusted['optimistic'][column])}]"
            scores = [number(self.official["stable"][column]), f"{number(self.trusted['expected'][column])} {bounds}"]
            if not queries[column]:
                scores = ["no image has it", ""]
            cells.append((str(column + 1), name, str(queries[column]), *scores))
        means = [number(mean_of_known(maps)) for maps in (self.official["stable"], self.trusted["expected"])]
        cells.append(("", "mean of those with queries", "", *means))
        return cells

    def metrics(self) -> dict[str, Any]:
        """``attribute_map`` (official, null where no image has it), means, and the customised results."""
        found: dict[str, Any] = {
            "attribute_names": self.names,
            "attribute_queries": self.data.query_flags.sum(axis=0),
            "attribute_map": self.official["stable"],
            "attribute_map_mean": mean_of_known(self.official["stable"]),
            "ties_attribute_map": {"asked": self.official, "trusted": self.trusted},
        }
        if self.custom is not None:
            assert self.groups is not None
            found |= self.custom.metrics(self.chosen, self.names)
            found["group_bits_index"] = [bits.tolist() for bits in self.groups.bits]
            found["group_names"] = self.groups.names
        return found

    def protocol(self) -> dict[str, Any]:
        return {"attribute_self": "hit" if self.data.same else None, "attribute_ties": "stable",
                "bit_groups": None if self.groups is None else self.groups.chosen_by,
                "custom_chosen_on_halves": None if self.custom is None else self.custom.halves}


def mean_of_known(values: np.ndarray) -> float:
    """Mean over the attributes that some query has; NaN without any."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def make_attribute_evaluation(args: argparse.Namespace, pair: Pair, known_names: Sequence[str],
                              first: str | None) -> AttributeEvaluation:
    """Check the flags against the label columns and the code length. Raises InputError."""
    flags = _flags(pair.queries, pair.multi_label)
    width = flags.shape[1]
    names = column_names(width, () if pair.multi_label else known_names, args.attribute_names)
    db_flags = flags if pair.same else _flags(pair.database, pair.multi_label, width, args.database)
    signs = pair.queries.bits
    rankings = len(signs) * len(pair.database)
    data = Data(signs, flags, signs if pair.same else pair.database.bits, db_flags, pair.same,
                choose_device(args.device, rankings))
    other = None
    if args.choose_on:
        codes = load_codes(args.choose_on)
        if codes.code_length != pair.queries.code_length:
            raise input_error(args.choose_on, f"codes of {codes.code_length} bits", f"{pair.queries.code_length}")
        other_flags = _flags(codes, pair.multi_label, width, args.choose_on)
        other = Data(codes.bits, other_flags, codes.bits, other_flags, True, data.device)
    return AttributeEvaluation(data, names, _chosen(args.attribute, names, first),
                               bool(first or args.attribute), _groups(args, pair.queries.code_length), other,
                               args.draws, args.seed)


def _flags(codes: CodeSet, multi_label: bool, width: int | None = None, path: str | None = None) -> np.ndarray:
    """(N, A) bool, attribute is exactly 1 (2 is missing, 0 and -1 are absent); labels are attributes where many are."""
    flags = codes.labels[:, 0 if multi_label else 1 :] == 1
    if width is not None and flags.shape[1] != width:
        raise input_error(path, f"{flags.shape[1]} attribute columns", f"{width}, as in the codes file of the queries")
    return flags


def _chosen(wishes: Sequence[str] | None, names: list[str], first: str | None) -> list[int]:
    if wishes:
        return list(range(len(names))) if "all" in wishes else [find_column(wish, names) for wish in wishes]
    return [names.index(first)] if first in names else list(range(len(names)))


def _groups(args: argparse.Namespace, length: int) -> Groups | None:
    if args.groups and args.dissection:
        raise input_error("--groups", "--dissection beside it", "one of the two")
    if bool(args.dissection) != bool(args.concepts):
        raise input_error("--dissection", "one of --dissection and --concepts alone", "both")
    if args.groups:
        return Groups([f"group {number}" for number in range(1, len(args.groups) + 1)],
                      [parse_bits(text, length) for text in args.groups], {"groups": args.groups})
    if not args.dissection:
        return None
    concepts = [name.strip() for name in args.concepts.split(",") if name.strip()]
    if not concepts:
        raise input_error("--concepts", f"'{args.concepts}'", "names with commas, as in water,sea")
    bits = [bits_of_concepts(args.dissection, [name], args.min_iou, any_category=args.any_category)
            for name in concepts]
    if max(map(max, bits)) >= length:
        raise input_error(args.dissection, f"unit {max(map(max, bits)) + 1}", f"units 1 to {length}, the code length",
                          "take the table of the model that made the codes")
    return Groups(concepts, bits, {"concepts": concepts, "min_iou": args.min_iou, "any_category": args.any_category})
