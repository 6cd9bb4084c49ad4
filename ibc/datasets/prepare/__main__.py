"""``python -m ibc.data.prepare NAME ...``: images and list files of a data set, from its public source.

Every data set makes a plan (which images, which lists); ``build`` carries it out. Broden, which is
label maps rather than lists, is fetched and checked. ``pack`` puts a prepared folder into one file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ibc.commands.command import CommandParser, add_seed_flag, command_parser, run_command
from ibc.cores import usable_cores
from ibc.errors import input_error

if TYPE_CHECKING:
    from ibc.datasets.prepare.plan import Plan

_EXAMPLES = {
    "folder": "folder my_photos datasets/mine --test_share 0.2",
    "cifar10": "cifar10 datasets/cifar10 --source cifar-10-python.tar.gz",
    "caltech101": "caltech101 datasets/caltech101",
    "imagenet150k": "imagenet150k datasets/imagenet --info dataset_info.mat --source ILSVRC2012_img_train.tar "
                    "--source ILSVRC2012_img_val.tar --source ILSVRC2012_devkit_t12.tar.gz",
    "imagenet100": "imagenet100 datasets/imagenet100 --source /data/ILSVRC2012",
    "sun": "sun datasets/sun --source SUN397.tar.gz --source SUNAttributeDB_Images.tar.gz "
           "--source SUNAttributeDB.tar.gz",
    "broden": "broden datasets/broden1_227",
    "pack": "pack datasets/imagenet100 datasets/imagenet100.zip",
}


def _parser() -> CommandParser:
    parser = command_parser("Build the images and list files of a data set from its public source.",
                            "\n".join(f"python -m ibc.data.prepare {example}" for example in _EXAMPLES.values()),
                            prog="python -m ibc.data.prepare")
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME", parser_class=CommandParser)

    folder = _add(names, "folder", "a folder, zip or tar with one folder a class (train/ and test/ on top are kept)")
    folder.add_argument("source", metavar="SRC")
    folder.add_argument("destination", metavar="DST")
    folder.add_argument("--test_share", type=float, default=0.1, metavar="SHARE",
                        help="share of each class in the test list where SRC has no split (default: 0.1)")
    folder.add_argument("--attributes", metavar="CSV", help="image, then one column an attribute: 1 has it, 0 or -1 "
                        "has not, empty or 2 unknown; they follow the class in the lists")
    folder.add_argument("--labels", metavar="CSV", help="image, then one 0/1 column a class, for multi_label: true; "
                        "class weights go into manifest.json")
    add_seed_flag(folder, 0, "of the split")

    for name, what in (("cifar10", "CIFAR-10, downloaded through torchvision or from a given archive"),
                       ("caltech101", "Caltech-101, downloaded through torchvision's address or from a given archive")):
        parser_of = _add(names, name, what)
        parser_of.add_argument("destination", metavar="DST")
        parser_of.add_argument("--source", metavar="PATH", help="the archive, or a folder of it (default: download)")
        if name == "caltech101":
            add_seed_flag(parser_of, 0, "of the split")

    for name, what in (("imagenet150k", "ImageNet-150K, by its published dataset_info.mat"),
                       ("imagenet100", "100 classes of ILSVRC2012, tested on their validation images"),
                       ("sun", "SUN397 with the SUN Attribute Database")):
        parser_of = _add(names, name, what)
        parser_of.add_argument("destination", metavar="DST")
        parser_of.add_argument("--source", metavar="PATH", action="append", default=[],
                               help="a published archive, or a folder of such or of their content; repeat for each")
        if name == "imagenet150k":
            parser_of.add_argument("--info", metavar="MAT",
                                   help="dataset_info.mat (default: that in a --source folder)")
            parser_of.add_argument("--recover_classes", action="store_true",
                                   help="take the class of attribute-only images from the synset in their names")
        if name == "imagenet100":
            parser_of.add_argument("--classes", metavar="FILE", help="the synsets to take, one a line (default: drawn "
                                   "by the seed)")
        if name != "imagenet150k":
            add_seed_flag(parser_of, 0, "of the classes" if name == "imagenet100" else "of the split")

    broden = names.add_parser("broden", help="Broden for network dissection, from its official address or a local zip",
                              description="Fetch Broden, unpack and check it; a folder that holds it already is "
                              "checked.", epilog=_example("broden"),
                              formatter_class=argparse.RawDescriptionHelpFormatter)
    broden.add_argument("destination", metavar="DST")
    broden.add_argument("--source", metavar="ZIP", help="broden1_224.zip or broden1_227.zip (default: download)")
    broden.add_argument("--image_size", type=int, default=227, choices=(224, 227), help="which to download")
    _add_debug(broden)

    pack = names.add_parser("pack", help="a prepared folder as one uncompressed zip, for slow disks",
                            description="Write the lists, names and listed images of a prepared folder into one "
                            "uncompressed zip, which data_folder may name instead of the folder.",
                            epilog=_example("pack"), formatter_class=argparse.RawDescriptionHelpFormatter)
    pack.add_argument("source", metavar="SRC")
    pack.add_argument("destination", metavar="DST.zip")
    pack.add_argument("--list", metavar="FILE", action="append", default=[], dest="lists",
                      help="a list file in SRC; repeat for each (default: those of its manifest.json, else *.txt)")
    _add_debug(pack)
    return parser


def _add(names: argparse._SubParsersAction, name: str, what: str) -> CommandParser:
    """A data set's parser with what all of them share."""
    parser = names.add_parser(name, help=what, description=f"Prepare {what}.", epilog=_example(name),
                              formatter_class=argparse.RawDescriptionHelpFormatter)
    _add_debug(parser)
    parser.add_argument("--size", type=_positive, default=256, metavar="PX",
                        help="shorter side of stored images; smaller ones are kept as they are (default: 256)")
    parser.add_argument("--quality", type=int, default=95, choices=range(1, 101), metavar="Q",
                        help="JPEG quality of resized images (default: 95)")
    parser.add_argument("--link", action="store_true",
                        help="link to the originals (of a folder) and let the loader resize: set resize: always")
    parser.add_argument("--lists_only", action="store_true", help="write lists and manifest, read no image")
    parser.add_argument("--workers", type=_positive, default=usable_cores(), metavar="N",
                        help="processes (default: one a core)")
    return parser


def _add_debug(parser: CommandParser) -> None:
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def _example(name: str) -> str:
    return f"example:\n  python -m ibc.data.prepare {_EXAMPLES[name]}"


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"found {value}, expected a number from 1")
    return value


def _prepare(args: argparse.Namespace) -> None:
    destination = Path(args.destination)
    if args.name == "broden":
        from ibc.datasets.prepare.broden import prepare_broden

        for line in prepare_broden(destination, args.source, args.image_size):
            print(line)
        return
    if args.name == "pack":
        from ibc.datasets.prepare.pack import pack_folder

        images, size = pack_folder(args.source, destination, args.lists)
        print(f"{destination}: {images} images, {size / 1e6:.0f} MB")
        print(f"  next: --set data_folder={destination}")
        return
    from ibc.datasets.prepare.build import Options, build, summary_lines
    from ibc.datasets.prepare.picture import Recipe

    plan = _plan(args, destination)
    manifest = build(plan, destination, Options(Recipe(args.size, args.quality, keep_large=args.link), args.link,
                                                args.workers, args.lists_only))
    for path in plan.temporary:
        path.unlink(missing_ok=True)
    for line in summary_lines(destination, manifest):
        print(line)
    if args.name == "folder":
        from ibc.datasets.prepare.ready_config import write_config

        if config := write_config(destination, manifest, args.link):
            print(f"  next: python train.py --config {config} --output_path .")


def _plan(args: argparse.Namespace, destination: Path) -> Plan:
    """The plan of the data set that was named."""
    if args.name == "folder":
        from ibc.datasets.prepare.folder import plan_folder

        return plan_folder(args.source, destination.resolve().name, seed=args.seed, test_share=args.test_share,
                           attributes=args.attributes, labels=args.labels)
    if args.name == "cifar10":
        from ibc.datasets.prepare.cifar10 import plan_cifar10

        return plan_cifar10(args.source, destination)
    if args.name == "caltech101":
        from ibc.datasets.prepare.caltech101 import plan_caltech101

        return plan_caltech101(args.source, destination, seed=args.seed)
    if not args.source and not (args.name == "imagenet150k" and args.lists_only):
        raise input_error("--source", "nothing", "where the originals are", f"see prepare {args.name} --help")
    if args.name == "sun":
        from ibc.datasets.prepare.sun import plan_sun

        return plan_sun(args.source, seed=args.seed)
    from ibc.datasets.prepare.imagenet import plan_imagenet100, plan_imagenet150k

    if args.name == "imagenet100":
        return plan_imagenet100(args.source, args.classes, seed=args.seed)
    return plan_imagenet150k(args.source, args.info, recover_classes=args.recover_classes)


def main(argv: list[str] | None = None) -> int:
    return run_command(_parser(), _prepare, argv)


if __name__ == "__main__":
    sys.exit(main())
