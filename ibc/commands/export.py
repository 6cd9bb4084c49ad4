"""``ibc export``: codes for DuckDB, ClickHouse, Spark, PostgreSQL and faiss, the encoder as ONNX, and SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibc.commands.command import Command, CommandParser, add_json_flag, command_parser, speaker
from ibc.dissection.settings import DETECTOR_IOU
from ibc.errors import input_error
from ibc.export.folder import BITS, CODES, CSV, ENCODER, FAISS, FILES, SQL

if TYPE_CHECKING:
    import numpy as np

    from ibc.codes import CodeSet
    from ibc.export.query import MaskedQuery
    from ibc.export.rows import ExportRows
    from ibc.retrieval.bit_names import BitName

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
    add_json_flag(parser)
    return parser


def run(options: ExportOptions) -> None:
    """Check everything, claim the folder, write the files, and print what was written and the SQL."""
    from ibc.codes import load_codes
    from ibc.export.folder import claim_folder, write_manifest
    from ibc.export.rows import ExportRows
    from ibc.export.sql import search_sql
    from ibc.files import atomic_write, sha256

    _check(options)
    codes = load_codes(options.codes, mapped=True)
    if not len(codes):
        raise input_error(options.codes, "no image", "at least one")
    names = _bit_names(options, codes)
    rows = ExportRows(codes, _labels(options, codes), options.first_id)
    text = search_sql(_query(options, codes, names), rows) if SQL in options.writes else ""
    origin: dict[str, Any] = {"codes_file": Path(options.codes).name, "codes_sha256": sha256(options.codes),
                              "images": len(codes), "code_length": codes.code_length, "first_id": options.first_id}
    writers = _writers(options, rows, names, origin)

    say = speaker(options.json_path)
    folder = Path(options.output)
    source = origin["codes_sha256"] + (f" from id {options.first_id}" if options.first_id else "")
    manifest = claim_folder(folder, options.writes, source)
    metrics: dict[str, Any] = {"images": len(codes), "code_length": codes.code_length, "bytes": {}}
    for name in options.writes:
        if name == SQL:
            with atomic_write(folder / SQL, "w") as handle:
                handle.write(text)
        else:
            metrics |= writers[name](folder / name)
        manifest["files"][name] = source
        write_manifest(folder, manifest | _described(origin, metrics))
        metrics["bytes"][name] = (folder / name).stat().st_size
        say(f"wrote {folder / name} ({metrics['bytes'][name]:,} bytes)")
    for line in _remarks(metrics):
        say(line)
    if text:
        say("")
        say(text.rstrip())
    if options.json_path:
        _write_json(options, metrics)


def _check(options: ExportOptions) -> None:
    """What can be said before any file is read. Raises InputError."""
    if options.onnx and not options.checkpoint:
        raise input_error("--onnx", "no --checkpoint", "the model whose encoder is wanted")
    if options.checkpoint and not options.onnx:
        raise input_error("--checkpoint", "no --onnx", "both, to write the encoder")
    if options.concepts is not None and not options.dissection:
        raise input_error("--concepts", "no --dissection", "the dissection that names the bits")
    if not 0 <= options.first_id < 2**62:
        raise input_error("--first_id", str(options.first_id), "a whole number from 0")


def _bit_names(options: ExportOptions, codes: CodeSet) -> list[BitName]:
    from ibc.retrieval.bit_names import check_dissected_model, load_bit_names

    if not options.dissection:
        return []
    check_dissected_model(options.dissection, codes.model, options.codes)
    return load_bit_names(options.dissection, codes.code_length)


def _labels(options: ExportOptions, codes: CodeSet) -> list[Any]:
    from ibc.export.rows import label_columns

    return label_columns(codes, multi_label=options.multi_label, class_names=_lines(options.class_names),
                         attribute_names=_lines(options.attribute_names), path=options.codes)


def _lines(path: str | None) -> list[str]:
    """The names in a file, one a line."""
    if path is None:
        return []
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise input_error(path, "a file that is not text", "one name a line") from None
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise input_error(path, "no name", "one a line")
    return names


def _query(options: ExportOptions, codes: CodeSet, names: list[BitName]) -> MaskedQuery:
    """The search that the SQL shows."""
    from ibc.codes import binarise
    from ibc.export.query import masked_query
    from ibc.retrieval.bit_names import bits_named
    from ibc.retrieval.bits import parse_bits

    item = _item(options.item, codes)
    bits: Sequence[int] | np.ndarray | None = None
    chosen_by = "all bits"
    if options.bits is not None:
        bits, chosen_by = parse_bits(options.bits, codes.code_length), f"bits {options.bits}"
    elif options.concepts is not None:
        concepts = [concept.strip() for concept in options.concepts.split(",") if concept.strip()]
        if not concepts:
            raise input_error("--concepts", f"'{options.concepts}'", "names with commas, as in water,sea")
        bits = [name.bit for concept in concepts
                for name in bits_named(names, concept, options.min_iou, any_category=not options.best_only,
                                       source=options.dissection)]
        chosen_by = f"bits of {', '.join(concepts)}"
    path = f" ({codes.paths[item]})" if codes.paths else ""
    return masked_query(binarise(codes.binary_codes[item]), bits, top=options.top,
                        label=f"item {item + 1}{path}, {chosen_by}")


def _item(wish: str, codes: CodeSet) -> int:
    """The row of an item given by number (from 1) or path. Raises InputError where there is none."""
    if codes.paths is not None and wish in codes.paths:
        return codes.paths.index(wish)
    if wish.isascii() and wish.isdigit() and 1 <= int(wish) <= len(codes):
        return int(wish) - 1
    raise input_error("--item", f"'{wish}'", f"a number from 1 to {len(codes)}"
                      + ("" if codes.paths is None else ", or a path of the codes file"))


def _writers(options: ExportOptions, rows: ExportRows, names: list[BitName],
             origin: dict[str, Any]) -> dict[str, Callable[[Path], dict[str, Any]]]:
    """File -> function that writes it and returns numbers to report. Raises InputError for what cannot be written."""
    from ibc import __version__
    from ibc.files import sha256

    provenance = {"ibc": __version__, **origin,
                  "bit_k": "word w{k // 64}, value 2^(k mod 64); in code, byte k // 8, value 2^(k mod 8); k from 0"}
    if options.dissection:
        from ibc.retrieval.bit_names import find_table

        provenance["dissection_sha256"] = sha256(find_table(options.dissection))
    found: dict[str, Callable[[Path], dict[str, Any]]] = {}
    if CODES in options.writes:
        from ibc.export.parquet import require_parquet, write_bit_names, write_codes

        require_parquet()
        found[CODES] = lambda path: _undecided(write_codes, path, rows, provenance)
        found[BITS] = lambda path: {"names": write_bit_names(path, names, rows.codes.code_length, provenance)}
    if CSV in options.writes:
        from ibc.export.csv_rows import write_csv

        found[CSV] = lambda path: _undecided(write_csv, path, rows)
    if FAISS in options.writes:
        from ibc.export.faiss_index import require_faiss, write_faiss

        require_faiss()
        found[FAISS] = lambda path: _undecided(write_faiss, path, rows)
    if ENCODER in options.writes:
        found[ENCODER] = _encoder_writer(options, rows.codes, names, provenance)
    return found


def _undecided(write: Callable[..., int], path: Path, *arguments: Any) -> dict[str, Any]:
    """Call a writer of codes with a progress bar."""
    from ibc.progress import Progress

    with Progress(len(arguments[0]), f"writing {path.name}") as bar:
        return {"undecided_bits": write(path, *arguments, bar.update)}


def _encoder_writer(options: ExportOptions, codes: CodeSet, names: list[BitName],
                    provenance: dict[str, Any]) -> Callable[[Path], dict[str, Any]]:
    from dataclasses import asdict

    from ibc.checkpoint import find_checkpoint, load_model, read_file
    from ibc.export.onnx_model import require_onnx, write_onnx
    from ibc.files import sha256
    from ibc.retrieval.query_images import check_same_model

    require_onnx()
    checkpoint = find_checkpoint(options.checkpoint or "")
    model = load_model(checkpoint)
    check_same_model(model, checkpoint, codes, options.codes)
    config = read_file(checkpoint, mmap=True).get("config")
    stated = [config.get(f"crop_image_{side}") for side in ("height", "width")] if isinstance(config, dict) else []
    crop = [side for side in options.crop or stated if isinstance(side, int) and side > 0]
    if len(crop) != 2:
        raise input_error("--crop", str(options.crop) if options.crop else "no size in the checkpoint",
                          "the height and width of the images in pixels, as in --crop 227 227")
    metadata = {"description": "IBC encoder: RGB pixels to codes in (0, 1); a bit is 1 above 0.5",
                "input": f"images: (B, 3, {crop[0]}, {crop[1]}) uint8, RGB, normalised inside",
                "output": f"codes: (B, {codes.code_length}) float32", "ibc": provenance["ibc"],
                "checkpoint": checkpoint.name, "checkpoint_sha256": sha256(checkpoint),
                "codes_sha256": provenance["codes_sha256"], "bit_names": [asdict(name) for name in names]}
    return lambda path: {"onnx_largest_difference": write_onnx(path, model, (crop[0], crop[1]), metadata)}


def _described(origin: dict[str, Any], metrics: dict[str, Any]) -> dict[str, Any]:
    """What ``export.json`` says beside its list of files."""
    from ibc import __version__

    return {"ibc": __version__, **origin,
            **{name: metrics[name] for name in ("undecided_bits", "onnx_largest_difference") if name in metrics}}


def _remarks(metrics: dict[str, Any]) -> list[str]:
    lines = []
    if metrics.get("undecided_bits"):
        lines.append(f"note: {metrics['undecided_bits']:,} bits of exactly 0.5 are undecided; they are written as 0, "
                     "where ibc search counts them half")
    if "onnx_largest_difference" in metrics:
        lines.append(f"onnxruntime gives the codes of torch, largest difference "
                     f"{metrics['onnx_largest_difference']:.1e}")
    return lines


def _write_json(options: ExportOptions, metrics: dict[str, Any]) -> None:
    from ibc.json_report import write_json

    protocol = {"undecided": "written as 0", "bits": options.bits, "concepts": options.concepts, "item": options.item,
                "min_iou": options.min_iou, "best_only": options.best_only, "top": options.top,
                "multi_label": options.multi_label}
    inputs = [options.codes, options.class_names, options.attribute_names]
    write_json(options.json_path or "-", command="export", seed=None, protocol=protocol,
               inputs=[name for name in inputs if name], metrics=metrics)


COMMAND = Command(build_parser, ExportOptions, run)
