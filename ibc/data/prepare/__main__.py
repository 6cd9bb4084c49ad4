"""``python -m ibc.data.prepare NAME ...``: images and list files of a data set, from its public source.

Every data set makes a plan (which images, which lists); ``build`` carries it out.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ibc.cli import CommandParser, add_seed_flag, command_parser, run_command

EXAMPLE = """\
python -m ibc.data.prepare folder my_photos datasets/mine
python -m ibc.data.prepare cifar10 datasets/cifar10"""


def _parser() -> CommandParser:
    parser = command_parser("Build the images and list files of a data set from its public source.", EXAMPLE,
                            prog="python -m ibc.data.prepare")
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME", parser_class=CommandParser)

    folder = _add(names, "folder", "a folder, zip or tar with one folder a class (train/ and test/ on top are kept)",
                  "folder my_photos datasets/mine --test_share 0.2")
    folder.add_argument("source", metavar="SRC")
    folder.add_argument("destination", metavar="DST")
    folder.add_argument("--test_share", type=float, default=0.1, metavar="SHARE",
                        help="share of each class in the test list where SRC has no split (default: 0.1)")
    add_seed_flag(folder, 0, "of that split")

    cifar10 = _add(names, "cifar10", "CIFAR-10, downloaded through torchvision or from a given archive",
                   "cifar10 datasets/cifar10 --source cifar-10-python.tar.gz")
    cifar10.add_argument("destination", metavar="DST")
    cifar10.add_argument("--source", help="the official archive, or a zip with train/<class>/ and test/<class>/")
    return parser


def _add(names: argparse._SubParsersAction, name: str, what: str, example: str) -> CommandParser:
    parser = names.add_parser(name, help=what, description=f"Prepare {what}.",
                              epilog=f"example:\n  python -m ibc.data.prepare {example}",
                              formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, default=256, metavar="PX",
                        help="shorter side of stored images; smaller ones are kept as they are (default: 256)")
    parser.add_argument("--quality", type=int, default=95, choices=range(1, 101), metavar="Q",
                        help="JPEG quality of resized images (default: 95)")
    parser.add_argument("--workers", type=int, default=_cores(), metavar="N",
                        help="processes (default: one a core)")
    return parser


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _prepare(args: argparse.Namespace) -> None:
    from ibc.data.prepare.build import Options, build, summary_lines
    from ibc.data.prepare.picture import Recipe

    destination = Path(args.destination)
    options = Options(Recipe(args.size, args.quality), workers=args.workers)
    if args.name == "folder":
        from ibc.data.prepare.folder import plan_folder

        plan = plan_folder(args.source, destination.resolve().name, seed=args.seed, test_share=args.test_share)
    else:
        from ibc.data.prepare.cifar10 import plan_cifar10

        plan = plan_cifar10(args.source, destination)
    manifest = build(plan, destination, options)
    for path in plan.temporary:
        path.unlink(missing_ok=True)
    for line in summary_lines(destination, manifest):
        print(line)


def main(argv: list[str] | None = None) -> int:
    return run_command(_parser(), _prepare, argv)


if __name__ == "__main__":
    sys.exit(main())
