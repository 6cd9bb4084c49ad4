"""Parquet files: what is in them, in which types, and that pyarrow and DuckDB read it."""

import json

import numpy as np
import pytest

from ibc.codes import CodeSet
from ibc.export import rows as rows_module
from ibc.export.parquet import METADATA_KEY, write_bit_names, write_codes
from ibc.export.rows import ExportRows, label_columns
from ibc.retrieval.bit_names import BitName
from tests.export.small_codes import PROVENANCE, make_rows

pq = pytest.importorskip("pyarrow.parquet")


def test_columns_of_codes(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module.ExportRows.blocks, "__defaults__", (128,))
    rows, heard = make_rows(200), []
    assert write_codes(tmp_path / "codes.parquet", rows, PROVENANCE, heard.append) == 0
    assert heard == [128, 128, 44]
    file = pq.ParquetFile(tmp_path / "codes.parquet")
    assert file.num_row_groups == 3
    types = {field.name: str(field.type) for field in file.schema_arrow}
    assert types == {"id": "int64", "path": "string", "class_id": "int32", "class_name": "string",
                     "has_sailing_boating": "int8", "has_gr_sse": "int8", **{f"w{k}": "uint64" for k in range(4)},
                     "code": "fixed_size_binary[32]"}
    table = file.read().to_pydict()
    assert table["id"] == list(range(300)) and table["path"] == rows.codes.paths
    assert table["class_id"][0] is None and table["class_name"][0] is None
    ids = rows.codes.labels[:, 0]
    assert table["class_id"][1:] == ids[1:].tolist()
    assert table["class_name"][1:] == [["tree", "'quoted'", "sea; --", "x"][int(place)] for place in ids[1:]]
    assert table["has_sailing_boating"] == [None if value == 2 else max(int(value), 0)
                                            for value in rows.codes.labels[:, 1]]
    for row, code in enumerate(table["code"]):
        number = sum(1 << int(bit) for bit in np.flatnonzero(rows.codes.binary_codes[row] > 0.5))
        assert int.from_bytes(code, "little") == number
        assert sum(table[f"w{word}"][row] << 64 * word for word in range(4)) == number
    described = json.loads(file.schema_arrow.metadata[METADATA_KEY])
    assert described["codes_sha256"] == PROVENANCE["codes_sha256"]
    assert described["columns"]["has_sailing_boating"] == "sailing/ boating"


def test_short_codes_without_paths_or_names(tmp_path):
    codes = CodeSet(np.array([[0.5, 1, 0], [1, 0.5, 0.5]], np.float32), np.zeros((2, 1), np.float32))
    assert write_codes(tmp_path / "c.parquet", ExportRows(codes, label_columns(codes)), {}, lambda rows: None) == 3
    table = pq.read_table(tmp_path / "c.parquet").to_pydict()
    assert table["path"] == [None, None] and table["w0"] == [2, 1] and "w1" not in table


def test_long_codes(tmp_path):
    rows = make_rows(300, 100)
    write_codes(tmp_path / "c.parquet", rows, {}, lambda rows: None)
    schema = pq.read_schema(tmp_path / "c.parquet")
    assert str(schema.field("code").type) == "fixed_size_binary[40]" and "w4" in schema.names


def test_odd_bytes_in_a_path(tmp_path):
    codes = CodeSet(np.ones((1, 8)), np.zeros((1, 1)), paths=["a\udcff.jpg"])
    write_codes(tmp_path / "c.parquet", ExportRows(codes), {}, lambda rows: None)
    assert pq.read_table(tmp_path / "c.parquet").to_pydict()["path"] == ["a�.jpg"]


def test_names_of_bits(tmp_path):
    names = [BitName(1, "sea", "scene", 0.5, 0.1, True), BitName(1, "blue", "color", 0.25, None, None)]
    assert write_bit_names(tmp_path / "bits.parquet", names, 66, PROVENANCE) == 2
    table = pq.read_table(tmp_path / "bits.parquet").to_pylist()
    assert len(table) == 67
    assert table[1] == {"number": 2, "bit": 1, "word": 0, "mask": 2, "concept": "sea", "category": "scene", "iou": 0.5,
                        "chance": 0.1, "beats_chance": True}
    assert table[2]["concept"] == "blue" and table[2]["chance"] is None
    assert table[66] == {"number": 66, "bit": 65, "word": 1, "mask": 2, "concept": None, "category": None, "iou": None,
                         "chance": None, "beats_chance": None}
