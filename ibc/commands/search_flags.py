"""Flags of ``ibc search``."""

from __future__ import annotations

from dataclasses import dataclass

from ibc.commands.code_files import add_codes_flag
from ibc.commands.command import CommandParser, add_device_flag, add_json_flag, add_seed_flag, command_parser
from ibc.dissection.settings import DETECTOR_IOU
from ibc.retrieval.defaults import EXPERT_BITS, NEIGHBOURS, SEED

DESCRIPTION = (
    "Find images by all bits of their codes or by some of them: like this image, but only by its water and its sky. "
    "The query is an image of the codes file, an image file, several examples (some of them negative), or concepts "
    "alone. Exact: every image is compared, and images at equal distance come in the order of the codes file. Items "
    "and bits are counted from 1 here.")

EXAMPLE = """
{prog} demo/results/demo/test.npz --item 12 --dissection demo/dissection --concepts sea,sand
{prog} demo/results/demo/test.npz --item 12 --expert --images demo/data --sheet sheet.png --page found.html
{prog} demo/results/demo/test.npz --dissection demo/dissection --want sea,orange --without disc
{prog} demo/results/demo/test.npz --image photo.jpg --checkpoint demo/outputs/demo --expert
{prog} demo/results/demo/test.npz --item 3 7 --not_item 9 --dissection demo/dissection --common
"""


@dataclass(frozen=True)
class SearchOptions:
    """The flags of ``ibc search``."""

    codes: str
    queries: str | None
    item: list[str]
    not_item: list[str]
    image: list[str]
    not_image: list[str]
    want: str | None
    without: str | None
    checkpoint: str | None
    config: str | None
    resize: str
    expert: bool
    class_name: str | None
    top_k_bits: int
    neighbours: int
    concepts: str | None
    attribute: str | None
    train: str | None
    bits: str | None
    rows: str | None
    dissection: str | None
    min_iou: float
    best_only: bool
    weight: str | None
    top: int
    common: str | None
    multi_label: bool
    class_names: str | None
    attribute_names: str | None
    images: str | None
    sheet: str | None
    columns: int
    page: str | None
    seed: int
    device: str
    json_path: str | None
    code_kind: str | None = None


def build_parser(prog: str | None = None) -> CommandParser:
    """The flags of ``ibc search``, with their help."""
    parser = command_parser(DESCRIPTION, EXAMPLE, prog)
    parser.add_argument("codes", metavar="CODES", help="codes file (.npz or .mat) that is searched")

    add_codes_flag(parser)

    query = parser.add_argument_group("query")
    query.add_argument("--item", nargs="+", default=[], metavar="ITEM",
                       help="images of the codes file, by number from 1 or by path; they do not appear in the results")
    query.add_argument("--not_item", nargs="+", default=[], metavar="ITEM", help="negative examples")
    query.add_argument("--queries", metavar="FILE", help="codes file that the items are of (default: CODES)")
    query.add_argument("--image", nargs="+", default=[], metavar="FILE",
                       help="image files, encoded with --checkpoint")
    query.add_argument("--not_image", nargs="+", default=[], metavar="FILE", help="negative image files")
    query.add_argument("--want", metavar="A,B", help="concepts that results have: their bits must be 1")
    query.add_argument("--without", metavar="A,B", help="concepts that results do not have: their bits must be 0")
    query.add_argument("--checkpoint", metavar="FILE",
                       help="the model that made the codes (a file, or a folder whose newest is taken)")
    query.add_argument("--config", metavar="FILE", help="crop and size of images (default: as in the checkpoint)")
    query.add_argument("--resize", choices=["auto", "always", "config"], default="auto",
                       help="resize image files: always, as ibc extract --images does; as the configuration says, as "
                            "for its lists; auto: always where the shorter side is longer than the configured size, "
                            "else as the configuration says (default: auto)")

    bits = parser.add_argument_group("bits", "all of them, if nothing is chosen")
    which = bits.add_mutually_exclusive_group()
    which.add_argument("--expert", action="store_true", help="the expert bits of a class, by the rule matrix (GRM)")
    which.add_argument("--concepts", metavar="A,B", help="the bits that detect these concepts, by --dissection")
    which.add_argument("--attribute", metavar="NAME",
                       help="the bits with the largest mutual information with an attribute (its name, or its column "
                            "from 1), as many as serve best on the codes of --train")
    which.add_argument("--bits", metavar="LIST", help="a list such as 1,2,7-9")
    which.add_argument("--rows", metavar="LIST",
                       help="several rankings of one query, such as all,expert,concept:sea+sand,attribute:red,bits:1+7 "
                            "or random; concept alone is the concept that the query has most clearly")
    bits.add_argument("--class", dest="class_name", metavar="CLASS",
                      help="class of the expert bits, its number from 0 or a name of --class_names (default: the one "
                           "that most of the nearest images have)")
    bits.add_argument("--top_k_bits", type=int, default=EXPERT_BITS, metavar="N",
                      help=f"expert bits of a class (default: {EXPERT_BITS})")
    bits.add_argument("--neighbours", type=int, default=NEIGHBOURS, metavar="N",
                      help=f"nearest images that vote for the class (default: {NEIGHBOURS})")
    bits.add_argument("--train", metavar="FILE",
                      help="codes file on which bits of an attribute are chosen (default: CODES itself, an oracle)")
    bits.add_argument("--dissection", metavar="PATH",
                      help="names of the bits: a dissection folder, its tally.json, tally.csv or units.csv")
    bits.add_argument("--min_iou", type=float, default=DETECTOR_IOU, metavar="IOU",
                      help=f"from which a bit detects a concept (default: {DETECTOR_IOU:g})")
    bits.add_argument("--best_only", action="store_true",
                      help="a bit detects only the concept with its best IoU, not the best one of every category")
    bits.add_argument("--weight", metavar="iou|margin|concept|FILE",
                      help="weights of the bits: IoU of their concepts; how far the query's code is from the "
                           "threshold 0.5; each concept the same, however many bits it has; or a file with one "
                           "number for each bit (default: 1 each)")

    out = parser.add_argument_group("results")
    out.add_argument("--top", type=int, default=20, metavar="N", help="results of a ranking (default: 20)")
    out.add_argument("--common", nargs="?", const="results", metavar="SET",
                     help="what images have in common: bits that they have more often than the others. Of the results, "
                          "or of a list of items (3,7,10-14), or of a folder")
    out.add_argument("--images", metavar="DIR", help="folder (or zip) that the paths of the codes file are in")
    out.add_argument("--sheet", metavar="FILE", help="write a contact sheet (PNG, or JPEG by its ending)")
    out.add_argument("--columns", type=int, default=8, metavar="N", help="results in a row of the sheet (default: 8)")
    out.add_argument("--page", metavar="FILE", help="write a page (HTML, all in one file)")
    out.add_argument("--class_names", metavar="FILE",
                     help="names of the classes, one a line (default: classes.txt in --images)")
    out.add_argument("--attribute_names", metavar="FILE",
                     help="names of the attribute columns, one a line (default: attributes.txt in --images)")
    out.add_argument("--multi_label", action="store_true", help="every column of lab is a class, 1 where an image has "
                                                                "it; else column 1 is the class")
    add_seed_flag(parser, SEED, "of the halves on which the number of bits of an attribute is chosen, and of random "
                                "bits")
    add_device_flag(parser)
    add_json_flag(parser)
    return parser
