"""Are these good codes? ``ibc health CODES``: balance, dead and duplicate bits, and more."""

from __future__ import annotations

import argparse

from ibc.commands.command import add_json_flag, command_parser, speaker
from ibc.json_report import write_json

EXAMPLE = "python -m eval.code_health results/imagenet100/test.npz --figure health.png"


def build_parser() -> argparse.ArgumentParser:
    parser = command_parser("Bit balance, dead and duplicate bits, correlation, distinct codes, quantisation error and "
                            "sparsity of the rule matrix of a codes file. Bits are counted from 1 here.", EXAMPLE)
    parser.add_argument("codes", metavar="CODES", help="codes file (.npz or .mat)")
    parser.add_argument("--figure", metavar="FILE", help="write one figure (PNG)")
    add_json_flag(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    from ibc.codes import load_codes
    from ibc.files import atomic_write
    from ibc.retrieval.code_health import IN_CLASS, UNDECIDED, code_health

    health = code_health(load_codes(args.codes))
    say = speaker(args.json_path)
    for line in health.lines():
        say(line)
    if args.figure:
        from ibc.report.figures import health_figure

        with atomic_write(args.figure) as handle:
            handle.write(health_figure(health))
        say(f"wrote {args.figure}")
    if args.json_path:
        write_json(args.json_path, command="code_health", seed=None,
                   protocol={"undecided_within": UNDECIDED, "bit_of_class_above": IN_CLASS}, inputs=[args.codes],
                   metrics=health.metrics())
