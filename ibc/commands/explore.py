"""``ibc explore``: a static page on which a person searches a set of images by their codes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from ibc.commands.code_files import add_codes_flag, print_label_notes, read_codes
from ibc.commands.command import Command, CommandParser, add_seed_flag, command_parser
from ibc.errors import input_error
from ibc.retrieval.defaults import EXPERT_BITS, SEED
from ibc.screen import show

THUMB = 96          # pixels a side of a thumbnail
MAX_THUMBS = 20_000
LISTED = 3          # unreadable images that are named
EXAMPLE = """
{prog} results/sun/test.npz --images datasets/sun --dissection result/sun -o page
{prog} demo/results/demo/test.npz --images demo/data --dissection demo/dissection \\
    --class_names demo/data/classes.txt --attribute_names demo/data/attributes.txt -o demo/explorer
"""


@dataclass(frozen=True)
class ExploreOptions:
    """The flags of ``ibc explore``."""

    codes: str
    images: str
    output: Path
    dissection: str | None
    class_names: str | None
    attribute_names: str | None
    train: str | None
    title: str | None
    thumb: int
    max_thumbs: int
    top_k_bits: int
    multi_label: bool
    workers: int | None
    seed: int
    code_kind: str | None = None


def build_parser(prog: str | None = None) -> CommandParser:
    """The flags of ``ibc explore``, with their help."""
    parser = command_parser(
        "Write a page on which one searches a set of images by their codes: by example, by class, by concept, by "
        "single bits. It is a folder of plain files that works offline, without a server: open its index.html.",
        EXAMPLE, prog)
    parser.add_argument("codes", metavar="CODES", help="codes file (.npz or .mat) with the paths of its images")
    parser.add_argument("--images", required=True, metavar="DIR",
                        help="folder, or zip, that the paths start from: data_folder of the configuration")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR",
                        help="folder of the page: new, empty, or made by this command")
    parser.add_argument("--dissection", metavar="DIR|FILE",
                        help="results folder of ibc dissect, or its tally.json: names of bits (a folder: masks too)")
    parser.add_argument("--class_names", metavar="FILE",
                        help="one name a line, in the order of the class numbers (default: classes.txt in --images)")
    parser.add_argument("--attribute_names", metavar="FILE",
                        help="one name a line, one for each attribute column (default: attributes.txt in --images)")
    parser.add_argument("--train", metavar="CODES",
                        help="codes of the training images: what bits tell of classes and attributes is measured on "
                             "them (default: on the shown images)")
    parser.add_argument("--title", help="heading of the page (default: from the name of the codes file)")
    parser.add_argument("--thumb", type=int, default=THUMB, metavar="PX",
                        help=f"pixels a side of a thumbnail (default: {THUMB})")
    parser.add_argument("--max_thumbs", type=int, default=MAX_THUMBS, metavar="N",
                        help="images with a thumbnail; of more images an evenly spread sample, which the page states "
                             f"(default: {MAX_THUMBS})")
    parser.add_argument("--top_k_bits", type=int, default=EXPERT_BITS, metavar="N",
                        help=f"expert bits of a class (default: {EXPERT_BITS})")
    parser.add_argument("--multi_label", action="store_true",
                        help="every column of lab is a class, 1 where an image has it")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that read images (default: one a core)")
    add_codes_flag(parser)
    add_seed_flag(parser, SEED, "of the random images on bit cards")
    return parser


def run(options: ExploreOptions) -> None:
    """Read the codes, draw the thumbnails and write the page."""
    from ibc.cores import usable_cores
    from ibc.report.explorer.build import ExplorerSettings, build_page
    from ibc.report.explorer.thumbnails import LARGEST, SMALLEST

    for flag, value in (("max_thumbs", options.max_thumbs), ("top_k_bits", options.top_k_bits),
                        ("workers", options.workers)):
        if value is not None and value < 1:
            raise input_error(f"--{flag}", str(value), "at least 1")
    if not SMALLEST <= options.thumb <= LARGEST:
        raise input_error("--thumb", str(options.thumb), f"{SMALLEST} to {LARGEST} pixels")
    source = Path(options.codes).absolute()
    settings = ExplorerSettings(
        codes_file=options.codes, images=options.images, dissection=options.dissection, train_file=options.train,
        class_names=options.class_names, attribute_names=options.attribute_names,
        title=options.title or f"{source.parent.name}: {source.stem}", thumb=options.thumb,
        max_thumbs=options.max_thumbs, top_k=options.top_k_bits, multi_label=options.multi_label,
        workers=options.workers or usable_cores(), seed=options.seed)
    codes = read_codes(options.codes, options.code_kind)
    print_label_notes(codes, options.multi_label)
    train = read_codes(options.train, options.code_kind) if options.train else None
    page = build_page(options.output, codes, settings, train)
    for line in page.sheets.unreadable[:LISTED]:
        show(f"no thumbnail: {line}", sys.stderr)
    if (more := len(page.sheets.unreadable) - LISTED) > 0:
        show(f"no thumbnail: {more} other images", sys.stderr)
    shown = int((page.sheets.places >= 0).sum())
    show(f"{page.images} images, {shown} of them with a thumbnail in {len(page.sheets.files)} sheets "
          f"({page.sheets.made} new)")
    show(f"open {page.index.absolute().as_uri()}")


COMMAND = Command(build_parser, ExploreOptions, run)
