"""``python -m ibc.data.doctor CONFIG``: is this data fit to spend a GPU day on?

Reads the lists as training does, opens every image, compares train with test, times an epoch, and
ends with a verdict: exit code 0 when ready (warnings included), 1 when a run would stop.
"""

from __future__ import annotations

import argparse
import sys

from ibc.commands.command import add_device_flag, add_json_flag, command_parser, run_command, speaker
from ibc.cores import usable_cores
from ibc.json_report import write_json

EXAMPLE = "python -m ibc.data.doctor configs/cifar10.yaml --set data_folder=/data/cifar10/"


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("Examine the data of a config before training on it.", EXAMPLE,
                            prog="python -m ibc.data.doctor")
    parser.add_argument("config", metavar="CONFIG")
    parser.add_argument("--set", action="append", default=[], metavar="K=V", dest="overrides",
                        help="override a key of the config, dotted for nested ones; repeatable")
    parser.add_argument("--near", type=int, default=4, choices=range(11), metavar="BITS",
                        help="test images whose perceptual hash differs from a training image's by at most so many of "
                        "64 bits count as near-identical (default: 4)")
    parser.add_argument("--sample", type=int, metavar="N",
                        help="open only N images of each list, evenly spread (default: all)")
    parser.add_argument("--skip_timing", action="store_true", help="do not estimate the time of an epoch")
    parser.add_argument("--workers", type=int, default=usable_cores(), metavar="N",
                        help="processes that open images (default: one a core)")
    add_device_flag(parser)
    add_json_flag(parser)
    return parser


def _doctor(args: argparse.Namespace) -> int:
    from ibc.config import load_config
    from ibc.datasets.doctor.examination import examine

    say = speaker(args.json_path)
    config = load_config(args.config, args.overrides)
    findings, inputs = examine(config, near=args.near, sample=args.sample, workers=args.workers,
                               device=None if args.skip_timing else args.device)
    for line in findings.lines():
        say(line)
    if args.json_path:
        write_json(args.json_path, command="doctor", seed=None,
                   protocol={"near_bits": args.near, "sample": args.sample},
                   inputs=[args.config, *inputs],
                   metrics={"verdict": findings.verdict, "problems": findings.problems, "warnings": findings.warnings,
                            **findings.numbers})
    return 1 if findings.problems else 0


def main(argv: list[str] | None = None) -> int:
    return run_command(_parser(), _doctor, argv)


if __name__ == "__main__":
    sys.exit(main())
