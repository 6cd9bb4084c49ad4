"""``ibc export``: codes for DuckDB, ClickHouse, Spark, PostgreSQL and faiss, the encoder as ONNX, and SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibc.commands.code_files import print_label_notes, read_codes
from ibc.commands.command import Command, speaker
from ibc.commands.export_flags import ExportOptions, build_parser
from ibc.errors import input_error
from ibc.export.folder import BITS, CODES, CSV, ENCODER, FAISS, SQL

if TYPE_CHECKING:
    import numpy as np

    from ibc.codes import CodeSet
    from ibc.export.query import MaskedQuery
    from ibc.export.rows import ExportRows
    from ibc.retrieval.bit_names import BitName

def run(options: ExportOptions) -> None:
    """Check everything, claim the folder, write the files, and print what was written and the SQL."""
    from ibc.export.folder import claim_folder, write_manifest
    from ibc.export.rows import ExportRows
    from ibc.export.sql import search_sql
    from ibc.files import atomic_write, only_writer, sha256

    _check(options)
    codes = read_codes(options.codes, options.code_kind, mapped=True)
    print_label_notes(codes, options.multi_label)
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
    metrics: dict[str, Any] = {"images": len(codes), "code_length": codes.code_length, "bytes": {}}
    with only_writer(folder):
        manifest = claim_folder(folder, options.writes, source)
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
    if not 0 <= options.min_iou <= 1:
        raise input_error("--min_iou", f"{options.min_iou:g}", "a number from 0 to 1")
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
    from ibc.text_files import names_of_text, read_text

    names = names_of_text(read_text(path), path)
    if not names:
        raise input_error(path, "no name", "one a line")
    return names


def _query(options: ExportOptions, codes: CodeSet, names: list[BitName]) -> MaskedQuery:
    """The search that the SQL shows."""
    from ibc.codes import binarise
    from ibc.commands.search_query import names_in
    from ibc.export.query import masked_query
    from ibc.retrieval.bit_names import bits_named
    from ibc.retrieval.bits import parse_bits
    from ibc.retrieval.items import find_item

    item = find_item(options.item, codes, options.codes)
    bits: Sequence[int] | np.ndarray | None = None
    chosen_by = "all bits"
    if options.bits is not None:
        bits, chosen_by = parse_bits(options.bits, codes.code_length), f"bits {options.bits}"
    elif options.concepts is not None:
        concepts = names_in(options.concepts, "--concepts")
        bits = [name.bit for concept in concepts
                for name in bits_named(names, concept, options.min_iou, any_category=not options.best_only,
                                       source=options.dissection)]
        chosen_by = f"bits of {', '.join(concepts)}"
    path = f" ({codes.paths[item]})" if codes.paths else ""
    return masked_query(binarise(codes.binary_codes[item]), bits, top=options.top,
                        label=f"item {item + 1}{path}, {chosen_by}")


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

    from ibc.checkpoint import crop_of, find_checkpoint, load_model, read_config
    from ibc.export.onnx_model import require_onnx, write_onnx
    from ibc.files import sha256
    from ibc.retrieval.query_images import check_same_model

    require_onnx()
    checkpoint = find_checkpoint(options.checkpoint or "")
    model = load_model(checkpoint)
    check_same_model(model, checkpoint, codes, options.codes)
    config = read_config(checkpoint)
    crop = options.crop or crop_of(config, checkpoint, "give the size by --crop") or ()
    if len(crop) != 2 or min(crop) < 1:
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
    inputs: list[str | Path | None] = [options.codes, options.class_names, options.attribute_names]
    if options.dissection:
        from ibc.retrieval.bit_names import find_table

        inputs.append(find_table(options.dissection))
    if options.checkpoint:
        from ibc.checkpoint import find_checkpoint

        inputs.append(find_checkpoint(options.checkpoint))
    write_json(options.json_path or "-", command="export", seed=None, protocol=protocol,
               inputs=[name for name in inputs if name], metrics=metrics)


COMMAND = Command(build_parser, ExportOptions, run)
