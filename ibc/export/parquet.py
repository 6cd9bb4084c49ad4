"""Parquet files of an export: ``codes.parquet``, one row an image, and ``bits.parquet``, one row a name of a bit.

A code stands twice in a row of ``codes.parquet``. The columns w0, w1, ... are its 64-bit words, unsigned (UBIGINT in
DuckDB, UInt64 in ClickHouse); Spark has no unsigned type, and reads the same 64 bits from them as BIGINT when its table
is declared so. The column ``code`` holds the same words as one fixed-size binary value, least significant byte first,
at least 32 bytes long: ClickHouse makes a UInt256 of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ibc.export.optional import optional_library
from ibc.export.query import WORD
from ibc.export.rows import ExportRows, LabelColumn, RowBlock, as_bytes
from ibc.files import atomic_write
from ibc.retrieval.bit_names import BitName

METADATA_KEY = b"ibc"  # of the JSON text in a file's metadata
ARROW_TYPES = {"integer": "int32", "number": "float64", "flag": "int8", "text": "string"}  # of label columns


def write_codes(path: Path, rows: ExportRows, provenance: dict[str, Any], done: Callable[[int], None]) -> int:
    """Write ``codes.parquet``, a row group a block; returns the number of undecided bits, which are written as 0.

    provenance: goes into the file's metadata as JSON. done: hears of the number of rows of each block.
    """
    arrow, writer_module = require_parquet()
    names = {column.name: column.about for column in rows.labels}
    metadata = {METADATA_KEY: json.dumps({**provenance, "columns": names})}
    fields = [arrow.field("id", arrow.int64(), nullable=False), arrow.field("path", arrow.string())]
    fields += [arrow.field(column.name, _type_of(arrow, column)) for column in rows.labels]
    fields += [arrow.field(name, arrow.uint64(), nullable=False) for name in rows.word_names]
    fields += [arrow.field("code", arrow.binary(rows.code_bytes), nullable=False)]
    schema = arrow.schema(fields, metadata)
    plain = {*rows.word_names, "code", "id"}  # bits of codes are as good as random: no dictionary, no compression
    compression = {name: "NONE" if name in plain else "ZSTD" for name in schema.names}
    undecided = 0
    with atomic_write(path) as handle, writer_module.ParquetWriter(
            handle, schema, compression=compression,
            use_dictionary=[name for name in schema.names if name not in {*plain, "path"}],
            write_statistics=["id"]) as writer:
        for block in rows.blocks():
            writer.write_table(_table(arrow, schema, rows, block), row_group_size=len(block.words))
            undecided += block.undecided
            done(len(block.words))
    return undecided


def _table(arrow: Any, schema: Any, rows: ExportRows, block: RowBlock) -> Any:
    count = len(block.words)
    columns = [arrow.array(rows.ids(block)), arrow.array(rows.paths(block.part), "string")]
    columns += [_column(arrow, column, block.part) for column in rows.labels]
    columns += [arrow.array(np.ascontiguousarray(word)) for word in block.words.T]
    content = arrow.py_buffer(as_bytes(block.words, rows.code_bytes).tobytes())
    columns.append(arrow.FixedSizeBinaryArray.from_buffers(arrow.binary(rows.code_bytes), count, [None, content]))
    return arrow.Table.from_arrays(columns, schema=schema)


def _column(arrow: Any, column: LabelColumn, part: slice) -> Any:
    values = column.values[part]
    if column.kind == "text":
        return arrow.array(column.cells(part), "string")
    missing = np.isnan(values)
    return arrow.array(np.where(missing, 0, values), mask=missing).cast(_type_of(arrow, column))


def _type_of(arrow: Any, column: LabelColumn) -> Any:
    return getattr(arrow, ARROW_TYPES[column.kind])()


def write_bit_names(path: Path, names: Iterable[BitName], length: int, provenance: dict[str, Any]) -> int:
    """Write ``bits.parquet``: number (from 1), bit (from 0), word, mask, concept, category, iou, chance, beats_chance.

    word and mask: where the bit stands in ``codes.parquet``, w{word} & mask. One row a name; a bit without any has
    one row without concept. Returns the number of names.
    """
    arrow, writer_module = require_parquet()
    of_bit: list[list[BitName | None]] = [[] for _ in range(length)]
    for name in names:
        of_bit[name.bit].append(name)
    rows = [{"number": bit + 1, "bit": bit, "word": bit // WORD, "mask": 1 << bit % WORD,
             "concept": name and name.concept, "category": name and name.category, "iou": name and name.iou,
             "chance": name and name.chance, "beats_chance": name and name.beats_chance}
            for bit, own in enumerate(of_bit) for name in own or [None]]
    schema = arrow.schema([("number", arrow.int32()), ("bit", arrow.int32()), ("word", arrow.int32()),
                           ("mask", arrow.uint64()), ("concept", arrow.string()), ("category", arrow.string()),
                           ("iou", arrow.float64()), ("chance", arrow.float64()), ("beats_chance", arrow.bool_())],
                          {METADATA_KEY: json.dumps(provenance)})
    with atomic_write(path) as handle:
        writer_module.write_table(arrow.Table.from_pylist(rows, schema=schema), handle)
    return sum(map(len, of_bit))


def require_parquet() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet. Raises InputError where they are not installed."""
    return optional_library("pyarrow", "--parquet"), optional_library("pyarrow.parquet", "--parquet")
