"""``ibc health``, also ``python -m eval.code_health``: are these good codes?"""

from __future__ import annotations

from dataclasses import dataclass

from ibc.commands.code_files import add_codes_flag, read_codes
from ibc.commands.command import Command, CommandParser, add_json_flag, command_parser, speaker

EXAMPLE = "{prog} results/imagenet100/test.npz --figure health.png"


@dataclass(frozen=True)
class HealthOptions:
    """The flags of ``ibc health``."""

    codes: str
    figure: str | None
    json_path: str | None
    code_kind: str | None = None


def build_parser(prog: str | None = None) -> CommandParser:
    """The flags of ``ibc health``, with their help."""
    parser = command_parser("Bit balance, dead and duplicate bits, correlation, distinct codes, quantisation error and "
                            "sparsity of the rule matrix of a codes file. Bits are counted from 1 here.", EXAMPLE, prog)
    parser.add_argument("codes", metavar="CODES", help="codes file (.npz or .mat)")
    parser.add_argument("--figure", metavar="FILE", help="write one figure (PNG)")
    add_codes_flag(parser)
    add_json_flag(parser)
    return parser


def run(options: HealthOptions) -> None:
    """Examine the codes, print the findings, and write the figure and the JSON that are asked for."""
    from ibc.files import atomic_write
    from ibc.json_report import write_json
    from ibc.report.health import health_lines, health_metrics
    from ibc.retrieval.code_health import IN_CLASS, UNDECIDED, code_health

    health = code_health(read_codes(options.codes, options.code_kind))
    say = speaker(options.json_path)
    for line in health_lines(health):
        say(line)
    if options.figure:
        from ibc.report.figures import health_figure

        with atomic_write(options.figure) as handle:
            handle.write(health_figure(health))
        say(f"wrote {options.figure}")
    if options.json_path:
        write_json(options.json_path, command="code_health", seed=None,
                   protocol={"undecided_within": UNDECIDED, "bit_of_class_above": IN_CLASS}, inputs=[options.codes],
                   metrics=health_metrics(health))


COMMAND = Command(build_parser, HealthOptions, run)
