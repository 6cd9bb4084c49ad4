"""``ibc prepare NAME``, also ``python -m ibc.data.prepare``: images and list files of a data set.

What there is to prepare is in ``ibc.datasets.prepare``, one file a data set.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from ibc.commands.command import Command, CommandParser, add_example, add_seed_flag, command_parser
from ibc.datasets.data_set import DataSet
from ibc.datasets.prepare import data_sets
from ibc.screen import show


@dataclass(frozen=True)
class PrepareOptions:
    """The data set that was named, and the options of its own flags."""

    data_set: DataSet[Any]
    options: Any


def build_parser(prog: str | None = None) -> CommandParser:
    """A sub-command for each data set, with its flags."""
    found = data_sets()
    parser = command_parser("Build the images and list files of a data set from its public source.",
                            "\n".join(f"{{prog}} {name} {data_set.example}" for name, data_set in found.items()), prog)
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME", parser_class=CommandParser)
    for name, data_set in found.items():
        own = names.add_parser(name, help=data_set.summary, description=data_set.description,
                               formatter_class=argparse.RawDescriptionHelpFormatter)
        add_example(own, f"{{prog}} {data_set.example}")
        own.add_argument("--debug", action="store_true", help=argparse.SUPPRESS,
                         default=argparse.SUPPRESS)  # so that it does not undo a --debug before NAME
        _add_flags(own, data_set)
    return parser


def _add_flags(parser: CommandParser, data_set: DataSet[Any]) -> None:
    data_set.add_flags(parser)
    if data_set.seed:
        add_seed_flag(parser, data_set.options.seed, data_set.seed)


def prepare_options(name: str, **flags: Any) -> PrepareOptions:
    """The options of ``ibc prepare`` from the values of its flags."""
    data_set = data_sets()[name]
    return PrepareOptions(data_set, data_set.options(**flags))


def run(options: PrepareOptions) -> None:
    """Prepare the data set, and print what there is to say."""
    for line in options.data_set.prepare(options.options):
        show(line)


def command_of(name: str) -> Command[Any]:
    """A command that prepares one data set, without its name among the words."""
    data_set = data_sets()[name]

    def parser_of(prog: str | None = None) -> CommandParser:
        parser = command_parser(data_set.description, f"{{prog}} {data_set.example}", prog)
        _add_flags(parser, data_set)
        return parser

    return Command(parser_of, data_set.options, lambda options: run(PrepareOptions(data_set, options)))


COMMAND = Command(build_parser, prepare_options, run)
