"""Flags of ``ibc export``."""

from __future__ import annotations

from dataclasses import dataclass

from ibc.commands.code_files import add_codes_flag
from ibc.commands.command import CommandParser, add_json_flag, command_parser
from ibc.dissection.settings import DETECTOR_IOU
from ibc.export.folder import BITS, CODES, CSV, ENCODER, FAISS, FILES, SQL

EXAMPLE = """
{prog} results/demo/test.npz --output exported --dissection dissection
{prog} results/demo/test.npz --output exported --item 7 --dissection dissection --concepts water,sea
{prog} results/demo/test.npz --output exported --faiss --onnx --checkpoint outputs/demo
"""
TOP = 100  # results of the search in search.sql


@dataclass(frozen=True)
class ExportOptions:
    """The flags of ``ibc export``."""

    codes: str
    output: str
    parquet: bool
    sql: bool
    csv: bool
    faiss: bool
    onnx: bool
    first_id: int
    checkpoint: str | None
    crop: list[int] | None
    item: str
    bits: str | None
    concepts: str | None
    dissection: str | None
    min_iou: float
    best_only: bool
    top: int
    class_names: str | None
    attribute_names: str | None
    multi_label: bool
    json_path: str | None
    code_kind: str | None = None

    @property
    def writes(self) -> list[str]:
        """The files to write, in the order in which they are written."""
        wanted = {CODES: self.parquet, BITS: self.parquet, CSV: self.csv, FAISS: self.faiss, ENCODER: self.onnx,
                  SQL: self.sql}
        if not any(wanted.values()):
            wanted |= {CODES: True, BITS: True, SQL: True}
        return [name for name in FILES if wanted[name]]


def build_parser(prog: str | None = None) -> CommandParser:
    """The flags of ``ibc export``, with their help."""
    parser = command_parser("Write a codes file for engines that exist: Parquet for DuckDB, ClickHouse and Spark, CSV "
                            "for PostgreSQL, a faiss index, the encoder as ONNX; and print the SQL of masked search. "
                            "Bits and items are counted from 1 here; the column id counts from 0, as Python does. The "
                            "libraries come with pip install 'ibc[export]'.", EXAMPLE, prog)
    parser.add_argument("codes", metavar="CODES", help="codes file (.npz or .mat)")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER",
                        help="folder for the files: a new or empty one, or one of an export before")
    what = parser.add_argument_group("what to write (default: --parquet --sql)")
    what.add_argument("--parquet", action="store_true", help=f"{CODES} and {BITS}")
    what.add_argument("--sql", action="store_true", help=f"{SQL}, which is printed as well")
    what.add_argument("--csv", action="store_true", help=f"{CSV}, for PostgreSQL")
    what.add_argument("--faiss", action="store_true", help=f"{FAISS}, for faiss.read_index_binary")
    what.add_argument("--onnx", action="store_true",
                      help=f"{ENCODER}: uint8 RGB images of the crop size in, normalised inside, codes out")
    what.add_argument("--first_id", type=int, default=0, metavar="N",
                      help="id of the first image, where several codes files make one table (default: 0)")
    what.add_argument("--checkpoint", metavar="FILE", help="of the encoder, for --onnx")
    what.add_argument("--crop", type=int, nargs=2, metavar=("H", "W"),
                      help="size of the encoder's images in pixels (default: that of the checkpoint's configuration)")
    search = parser.add_argument_group("the search in the SQL")
    search.add_argument("--item", default="1", metavar="ITEM",
                        help="the query: an image of the codes file, by number from 1 or by path (default: 1)")
    bits = search.add_mutually_exclusive_group()
    bits.add_argument("--bits", metavar="BITS", help="bits that count, as 1,5,9-12 (default: all)")
    bits.add_argument("--concepts", metavar="A,B,C", help="the bits of these concepts, by --dissection")
    search.add_argument("--min_iou", type=float, default=DETECTOR_IOU, metavar="X",
                        help=f"IoU from which a bit belongs to a concept (default: {DETECTOR_IOU:g})")
    search.add_argument("--best_only", action="store_true",
                        help="a bit detects only the concept with its best IoU, not the best one of every category")
    search.add_argument("--top", type=int, default=TOP, metavar="N", help=f"results (default: {TOP})")
    names = parser.add_argument_group("names")
    names.add_argument("--dissection", metavar="FOLDER|FILE",
                       help="dissection of the model: names of the bits for Parquet, ONNX and --concepts")
    names.add_argument("--class_names", metavar="FILE", help="one name a line, in the order of the ids")
    names.add_argument("--attribute_names", metavar="FILE", help="names of the attribute columns, one a line")
    names.add_argument("--multi_label", action="store_true", help="every column of lab is a class")
    add_codes_flag(parser)
    add_json_flag(parser)
    return parser
