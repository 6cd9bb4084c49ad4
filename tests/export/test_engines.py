"""The sections of ``search.sql``, run by ClickHouse, Spark and PostgreSQL; and DuckDB on 10 million codes.

Each engine finds what the library finds: rows, paths, distances, ties by id. An engine that is not here is skipped:
ClickHouse is the package chdb (640 MB), Spark is pyspark (490 MB) and Java, PostgreSQL its server's programs.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ibc.codes import CodeSet
from ibc.export.csv_rows import write_csv
from ibc.export.parquet import write_codes
from ibc.export.query import masked_query
from ibc.export.rows import BLOCK, ExportRows
from ibc.export.sql import SQL_ENGINES, search_sql
from ibc.retrieval import CodeIndex, search
from tests.export.postgres_server import NoServer, postgres_server
from tests.export.small_codes import assert_same, make_rows, queries
from tests.export.test_sql import section

pytestmark = pytest.mark.slow
LENGTHS = [256, 70, 300]


def exported(folder: Path, length: int) -> ExportRows:
    pytest.importorskip("pyarrow")
    rows = make_rows(length)
    write_codes(folder / "codes.parquet", rows, {}, lambda rows: None)
    write_csv(folder / "codes.csv", rows, lambda rows: None)
    return rows


@pytest.mark.parametrize("length", LENGTHS)
def test_clickhouse(tmp_path, length):
    chdb = pytest.importorskip("chdb")
    rows = exported(tmp_path, length)
    with contextlib.chdir(tmp_path), contextlib.closing(chdb.connect(":memory:")) as connection:
        for place, (query, bits, weights) in enumerate(queries(rows)):
            statements = section(search_sql(query, rows), SQL_ENGINES["clickhouse"].title)
            results = [connection.query(statement, "JSONCompactEachRow") for statement in statements]
            found = [tuple(json.loads(line)) for line in str(results[-1]).splitlines()]
            assert_same(found, rows, place, bits, weights)


@pytest.fixture(scope="module")
def spark():
    pyspark = pytest.importorskip("pyspark.sql")
    if not shutil.which("java"):
        pytest.skip("no Java")
    session = (pyspark.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
               .config("spark.sql.shuffle.partitions", "2").config("spark.driver.bindAddress", "127.0.0.1")
               .config("spark.driver.host", "127.0.0.1").getOrCreate())
    yield session
    session.stop()


@pytest.mark.parametrize("length", LENGTHS)
def test_spark(tmp_path, spark, length):
    rows = exported(tmp_path, length)
    for place, (query, bits, weights) in enumerate(queries(rows)):
        load, search = section(search_sql(query, rows), SQL_ENGINES["spark"].title)
        spark.sql(load.replace("'codes.parquet'", f"'{tmp_path / 'codes.parquet'}'"))  # Java keeps its first folder
        assert_same([tuple(row) for row in spark.sql(search).collect()], rows, place, bits, weights)


@pytest.fixture(scope="module")
def postgres() -> Iterator[list[str]]:
    """The psql command that reaches a server."""
    try:
        with postgres_server() as (psql, _):
            yield psql
    except NoServer as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("length", LENGTHS)
def test_postgresql(tmp_path, postgres, length):
    rows = exported(tmp_path, length)
    for place, (query, bits, weights) in enumerate(queries(rows)):
        text = search_sql(query, rows)
        own = text.split(f"-- ==== {SQL_ENGINES['postgresql'].title} ====\n")[1]
        done = subprocess.run(postgres, input=own, cwd=tmp_path, check=True, capture_output=True, text=True)
        assert_same(list(csv.reader(io.StringIO(done.stdout))), rows, place, bits, weights)


class RandomCodes:
    """Codes of ten million images, made anew whenever a part of them is read; bool."""

    shape = (10_000_000, 256)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> np.ndarray:
        count = len(range(*part.indices(len(self))))
        raw = np.random.default_rng(part.start).integers(0, 256, (count, 32), np.uint8)
        return np.unpackbits(raw, axis=1).astype(bool)


def test_duckdb_at_ten_million_rows(tmp_path, capsys):
    duckdb = pytest.importorskip("duckdb")
    codes = RandomCodes()
    rows = ExportRows(CodeSet(codes, np.empty((len(codes), 0))))  # type: ignore[arg-type]
    write_codes(tmp_path / "codes.parquet", rows, {}, lambda rows: None)
    index = CodeIndex(codes[0:BLOCK])
    for start in range(BLOCK, len(codes), BLOCK):
        index.add(codes[start : start + BLOCK])
    signs = 2 * codes[0:BLOCK][:3].astype(np.int8) - 1
    bits = np.sort(np.random.default_rng(1).permutation(256)[:13])
    with contextlib.chdir(tmp_path), duckdb.connect() as connection:
        load = section(search_sql(masked_query(signs[0]), rows), SQL_ENGINES["duckdb"].title)[0]
        connection.execute(load)
        for own in (None, bits):
            wanted = search(index, signs, bits=own, top=100)
            for place, row in enumerate(signs):
                select = SQL_ENGINES["duckdb"].search(masked_query(row, own))
                begin = time.perf_counter()
                found = connection.execute(select).fetchall()
                seconds = time.perf_counter() - begin
                assert [item[0] for item in found] == wanted.rows[place].tolist()
                assert [item[2] for item in found] == wanted.distances[place].tolist()
            with capsys.disabled():
                print(f"DuckDB, 10 million codes, {256 if own is None else len(own)} bits: {seconds * 1000:.0f} ms")
