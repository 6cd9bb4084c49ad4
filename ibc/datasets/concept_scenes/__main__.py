"""Command: draw concept scenes into a folder."""

from __future__ import annotations

import argparse
import sys

from ibc.commands.command import add_seed_flag, command_parser, run_command
from ibc.cores import usable_cores
from ibc.datasets.concept_scenes.dataset import Settings, generate, is_finished


def main(argv: list[str] | None = None) -> int:
    default = Settings()
    parser = command_parser(
        "Draw concept scenes: pictures whose classes are compositions of concepts (shape, part, texture, colour, "
        "scene), with list files of classes and attributes, and the masks of all concepts in Broden format.",
        "python -m ibc.data.concept_scenes data/scenes --train 3600 --test 720 --broden 240 --size 160 --seed 0",
        prog="python -m ibc.data.concept_scenes")
    parser.add_argument("destination", metavar="DST", help="folder to write; made if missing")
    for name, what in (("train", "training pictures"), ("test", "test pictures"),
                       ("broden", "further pictures, with masks; 0: none"), ("size", "side of a picture in pixels")):
        parser.add_argument(f"--{name}", type=int, default=getattr(default, name), metavar="N",
                            help=f"{what} (default: {getattr(default, name)})")
    add_seed_flag(parser, default.seed, "every picture follows from it")
    parser.add_argument("--workers", type=int, default=usable_cores(), metavar="N",
                        help="processes (default: one a core); the files do not depend on it")
    return run_command(parser, _body, argv)


def _body(args: argparse.Namespace) -> None:
    settings = Settings(args.train, args.test, args.broden, args.size, args.seed)
    settings.check()
    if is_finished(args.destination, settings):
        print(f"{args.destination}: complete with these settings, nothing to do")
        return
    manifest = generate(args.destination, settings, max(1, args.workers))
    print(f"{args.destination}: {manifest['class_num']} classes, {len(manifest['attributes'])} attributes; "
          f"{args.train} training and {args.test} test pictures (train.txt, test.txt), "
          f"{args.broden} with masks (broden/); see overview.jpg")


if __name__ == "__main__":
    sys.exit(main())
