"""Flags of ``ibc evaluate``, and the presets that tell the three official evaluation scripts apart."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from ibc.commands.code_files import add_codes_flag
from ibc.commands.command import CommandParser, add_device_flag, add_json_flag, add_seed_flag, command_parser
from ibc.dissection.settings import DETECTOR_IOU
from ibc.retrieval.defaults import EXPERT_BITS, NEIGHBOURS, RANDOM_DRAWS, SEED, SUN_EXPERT_BITS

DESCRIPTION = (
    "Retrieval scores of a codes file: the official lines first, then tables with the query left out, the order of "
    "ties averaged and bounded, random bits, and expert bits without looking at the query's label. Bit, group and "
    "attribute numbers are counted from 1 here.")


@dataclass(frozen=True)
class Preset:
    """What an official evaluation script has of its own.

    script: its name, which is also the command's name in the JSON. results: folder of its codes file in the examples.
    top_k: expert bits of a class. attribute: one that has columns after the category, for the examples; None without
    attributes. announced: the attribute whose lines the official script prints.
    """

    script: str
    results: str
    top_k: int
    attribute: str | None = None
    announced: str | None = None


PRESETS = {
    "imagenet100": Preset("imagenet100c_eval", "imagenet100", EXPERT_BITS),
    "imagenet150k": Preset("imagenet150k_eval", "imagenet", EXPERT_BITS, attribute="black"),
    "sun": Preset("sun_eval", "sun_attr", SUN_EXPERT_BITS, attribute="ocean", announced="ocean"),
}
DEFAULT_DATA = "imagenet100"


@dataclass(frozen=True)
class EvaluateOptions:
    """The flags of ``ibc evaluate``. The script of a data set without attributes does not have the flags for them."""

    data: str
    codes: str
    database: str | None
    multi_label: bool
    top_k_bits: int | None
    self_match: str
    ties: str
    at: list[int]
    draws: int
    neighbours: int
    checkpoint: str | None
    per_class: bool
    per_query: str | None
    seed: int
    device: str
    json_path: str | None
    code_kind: str | None = None
    attribute: list[str] | None = None
    attribute_names: str | None = None
    groups: list[str] | None = None
    dissection: str | None = None
    concepts: str | None = None
    min_iou: float = DETECTOR_IOU
    any_category: bool = False
    choose_on: str | None = None

    @property
    def preset(self) -> Preset:
        """That of the data set."""
        return PRESETS[self.data]

    @property
    def top_k(self) -> int:
        """Expert bits of a class: as asked for, else those of the data set."""
        return self.preset.top_k if self.top_k_bits is None else self.top_k_bits


def build_parser(prog: str | None = None, data: str | None = None) -> CommandParser:
    """The flags of ``ibc evaluate``, with their help. data: the preset, where it is not a flag."""
    with_attributes = data is None or PRESETS[data].attribute is not None
    parser = command_parser(DESCRIPTION, _example(data), prog)
    parser.add_argument("codes", metavar="CODES", help="codes file (.npz or .mat) of the queries")
    if data is None:
        parser.add_argument("--data", choices=list(PRESETS), default=DEFAULT_DATA,
                            help="data set of the codes: number of expert bits, names of attributes "
                                 f"(default: {DEFAULT_DATA})")
    else:
        parser.set_defaults(data=data)
    parser.add_argument("--database", metavar="FILE", help="codes file of the database (default: the queries)")
    add_codes_flag(parser)
    parser.add_argument("--multi_label", action="store_true",
                        help="every column of lab is a class, 1 where an image has it: relevant are the images that "
                             "share a label with the query, its expert bits are those of all its labels together"
                             + (", and every label is an attribute" if with_attributes else ""))
    parser.add_argument("--top_k_bits", type=int, metavar="N",
                        help=f"expert bits of a class (default: {_top_k_text(data)})")
    parser.add_argument("--self", choices=["keep", "exclude", "hit"], default="keep", dest="self_match",
                        help="the query in its own ranking: kept as irrelevant (the paper's, default), left out, or "
                             "counted as a hit")
    parser.add_argument("--ties", choices=["stable", "expected", "bounds"], default="stable",
                        help="equally distant items: in database order (the paper's, default), averaged over all "
                             "orders, or averaged with the worst and best order")
    parser.add_argument("--at", type=int, nargs="+", default=[], metavar="R",
                        help="also cut the ranking after R items (both divisors are shown)")
    parser.add_argument("--draws", type=int, default=RANDOM_DRAWS, metavar="N",
                        help=f"draws of random bits (default: {RANDOM_DRAWS})")
    parser.add_argument("--neighbours", type=int, default=NEIGHBOURS, metavar="N",
                        help=f"neighbours that vote for a query's class (default: {NEIGHBOURS})")
    parser.add_argument("--checkpoint", metavar="FILE",
                        help="also let this model's code classifier name a query's class")
    parser.add_argument("--per_class", action="store_true", help="also a table with one row a class")
    parser.add_argument("--per_query", metavar="FILE", help="write the average precision of every query as CSV")
    if with_attributes:
        _add_attribute_flags(parser, data)
    add_seed_flag(parser, SEED, "of random bits and of the halves")
    add_device_flag(parser)
    add_json_flag(parser)
    return parser


def _example(data: str | None) -> str:
    start = f"{{prog}} results/{PRESETS[data or DEFAULT_DATA].results}/test.npz"
    lines = [start, f"{start} --at 100 1000 --json scores.json"]
    preset = PRESETS[data or "sun"]
    if data is None:
        start = f"{{prog}} results/{preset.results}/test.npz --data sun"
    if preset.attribute:
        lines += [f"{start} --groups 1,5,9,12 3,7 --attribute {preset.attribute}",
                  f"{start} --dissection tally.csv --concepts water,sea,sky"]
    return "\n".join(lines)


def _top_k_text(data: str | None) -> str:
    if data is not None:
        return str(PRESETS[data].top_k)
    return ", ".join(f"{preset.top_k} for {name}" for name, preset in PRESETS.items())


def _add_attribute_flags(parser: argparse.ArgumentParser, data: str | None) -> None:
    announced = PRESETS[data].announced if data else None
    default = f"{announced}, else all" if announced else "all" if data else "all, for sun ocean"
    parser.add_argument("--attribute", action="append", metavar="NAME|COLUMN",
                        help=f"attribute of the customised retrieval, by name or by column from 1 after the category "
                             f"(repeatable; 'all': every one; default: {default})")
    parser.add_argument("--attribute_names", metavar="FILE",
                        help="names of the attribute columns, one a line (default: those of the data set)")
    parser.add_argument("--groups", nargs="+", metavar="BITS", help="bit groups, each as 1,5,9-12 (from 1)")
    parser.add_argument("--dissection", metavar="TALLY", help="dissection table: with --concepts, a group a concept")
    parser.add_argument("--concepts", metavar="A,B,C", help="concepts of the dissection table")
    parser.add_argument("--min_iou", type=float, default=DETECTOR_IOU, metavar="X",
                        help=f"IoU from which a bit belongs to a concept (default: {DETECTOR_IOU:g})")
    parser.add_argument("--any_category", action="store_true",
                        help="a bit also belongs to its best concept of every category, not only to its label")
    parser.add_argument("--choose_on", metavar="FILE",
                        help="codes file (of the training images) to choose groups on, for the honest figure "
                             "(default: the other half of the data)")
