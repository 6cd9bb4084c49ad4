"""Flags of the evaluation commands, and the settings that tell the commands apart."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from ibc.commands.command import add_device_flag, add_json_flag, add_seed_flag, command_parser


@dataclass(frozen=True)
class Setting:
    """What tells the commands apart. attribute_names: of the columns after the category, empty: no attributes.

    first_attribute: name of the column whose lines the official script prints.
    """

    command: str
    data: str
    top_k: int
    attribute_names: tuple[str, ...] = ()
    first_attribute: str | None = None


def build_parser(setting: Setting) -> argparse.ArgumentParser:
    codes = f"results/{setting.data}/test.npz"
    example = f"python eval/{setting.command}.py {codes}\n" \
              f"python eval/{setting.command}.py {codes} --at 100 1000 --json scores.json"
    if setting.attribute_names:
        example += f"\npython eval/{setting.command}.py {codes} --groups 1,5,9,12 3,7 " \
                   f"--attribute {(setting.first_attribute or setting.attribute_names[0]).split('/')[0]}"
        example += f"\npython eval/{setting.command}.py {codes} --dissection tally.csv --concepts water,sea,sky"
    parser = command_parser(
        "Retrieval scores of a codes file: the official lines first, then tables with the query left out, the order "
        "of ties averaged and bounded, random bits, and expert bits without looking at the query's label. "
        "Bit, group and attribute numbers are counted from 1 here.", example)
    parser.add_argument("codes", metavar="CODES", help="codes file (.npz or .mat) of the queries")
    parser.add_argument("--database", metavar="FILE", help="codes file of the database (default: the queries)")
    parser.add_argument("--multi_label", action="store_true",
                        help="every column of lab is a class, 1 where an image has it: relevant are the images that "
                             "share a label with the query, its expert bits are those of all its labels together"
                             + (", and every label is an attribute" if setting.attribute_names else ""))
    parser.add_argument("--top_k_bits", type=int, default=setting.top_k, metavar="N",
                        help=f"expert bits of a class (default: {setting.top_k})")
    parser.add_argument("--self", choices=["keep", "exclude", "hit"], default="keep", dest="self_match",
                        help="the query in its own ranking: kept as irrelevant (the paper's, default), left out, or "
                             "counted as a hit")
    parser.add_argument("--ties", choices=["stable", "expected", "bounds"], default="stable",
                        help="equally distant items: in database order (the paper's, default), averaged over all "
                             "orders, or averaged with the worst and best order")
    parser.add_argument("--at", type=int, nargs="+", default=[], metavar="R",
                        help="also cut the ranking after R items (both divisors are shown)")
    parser.add_argument("--draws", type=int, default=20, metavar="N", help="draws of random bits (default: 20)")
    parser.add_argument("--neighbours", type=int, default=10, metavar="N",
                        help="neighbours that vote for a query's class (default: 10)")
    parser.add_argument("--checkpoint", metavar="FILE",
                        help="also let this model's code classifier name a query's class")
    parser.add_argument("--per_class", action="store_true", help="also a table with one row a class")
    parser.add_argument("--per_query", metavar="FILE", help="write the average precision of every query as CSV")
    if setting.attribute_names:
        _add_attribute_flags(parser, setting)
    add_seed_flag(parser, 0, "of random bits and of the halves")
    add_device_flag(parser)
    add_json_flag(parser)
    return parser


def _add_attribute_flags(parser: argparse.ArgumentParser, setting: Setting) -> None:
    default = f"{setting.first_attribute}, else all" if setting.first_attribute else "all"
    parser.add_argument("--attribute", action="append", metavar="NAME|COLUMN",
                        help=f"attribute of the customised retrieval, by name or by column from 1 after the category "
                             f"(repeatable; 'all': every one; default: {default})")
    parser.add_argument("--attribute_names", metavar="FILE",
                        help="names of the attribute columns, one a line (default: those of the data set)")
    parser.add_argument("--groups", nargs="+", metavar="BITS", help="bit groups, each as 1,5,9-12 (from 1)")
    parser.add_argument("--dissection", metavar="TALLY", help="dissection table: with --concepts, a group a concept")
    parser.add_argument("--concepts", metavar="A,B,C", help="concepts of the dissection table")
    parser.add_argument("--min_iou", type=float, default=0.04, metavar="X",
                        help="IoU from which a bit belongs to a concept (default: 0.04)")
    parser.add_argument("--any_category", action="store_true",
                        help="a bit also belongs to its best concept of every category, not only to its label")
    parser.add_argument("--choose_on", metavar="FILE",
                        help="codes file (of the training images) to choose groups on, for the honest figure "
                             "(default: the other half of the data)")
