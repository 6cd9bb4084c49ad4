"""``ibc doctor CONFIG``, also ``python -m ibc.data.doctor``: is this data fit to spend a GPU day on?

It reads the lists as training does, opens every image, compares train with test, times an epoch, and ends with a
verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

from ibc.commands.command import Command, CommandParser, add_device_flag, add_json_flag, command_parser, speaker
from ibc.cores import usable_cores
from ibc.json_report import write_json
from ibc.ready_configs import find_config

EXAMPLE = "{prog} configs/cifar10.yaml --set data_folder=/data/cifar10/"


@dataclass(frozen=True)
class DoctorOptions:
    """The flags of ``ibc doctor``."""

    config: str
    overrides: list[str]
    near: int
    sample: int | None
    skip_timing: bool
    workers: int
    device: str
    json_path: str | None


def build_parser(prog: str | None = None) -> CommandParser:
    """The flags of ``ibc doctor``, with their help."""
    parser = command_parser("Examine the data of a config before training on it.", EXAMPLE, prog)
    parser.add_argument("config", metavar="CONFIG", help="YAML configuration, or the name of a ready one")
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


def run(options: DoctorOptions) -> int:
    """Examine, and return 0 when the data is ready (warnings included), 1 when a run would stop."""
    from ibc.config import load_config
    from ibc.datasets.doctor.examination import examine

    say = speaker(options.json_path)
    file = find_config(options.config)
    config = load_config(file, options.overrides)
    findings, inputs = examine(config, near=options.near, sample=options.sample, workers=options.workers,
                               device=None if options.skip_timing else options.device)
    for line in findings.lines():
        say(line)
    if options.json_path:
        write_json(options.json_path, command="doctor", seed=None,
                   protocol={"near_bits": options.near, "sample": options.sample},
                   inputs=[file, *inputs],
                   metrics={"verdict": findings.verdict, "problems": findings.problems, "warnings": findings.warnings,
                            **findings.numbers})
    return 1 if findings.problems else 0


COMMAND = Command(build_parser, DoctorOptions, run)
