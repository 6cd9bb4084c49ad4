"""The SQL of masked search: DuckDB finds by it what the library finds; slow tests run the other engines."""

import contextlib
import re

import numpy as np
import pytest

from ibc.export.parquet import write_bit_names, write_codes
from ibc.export.query import masked_query
from ibc.export.sql import SQL_ENGINES, search_sql
from ibc.retrieval import search
from ibc.retrieval.bit_names import BitName
from tests.export.small_codes import assert_same, make_rows, queries

duckdb = pytest.importorskip("duckdb")


def section(text: str, title: str) -> list[str]:
    """The statements of an engine in ``search.sql``."""
    own = text.split(f"-- ==== {title} ====\n")[1].split("-- ====", maxsplit=1)[0]
    lines = [line for line in own.splitlines() if not line.startswith("--")]
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]


@pytest.mark.parametrize("length", [256, 64, 70, 300])
def test_duckdb(tmp_path, length):
    rows = make_rows(length)
    write_codes(tmp_path / "codes.parquet", rows, {}, lambda rows: None)
    with contextlib.chdir(tmp_path), duckdb.connect(config={"threads": 1}) as connection:
        for place, (query, bits, weights) in enumerate(queries(rows)):
            load, select = section(search_sql(query, rows), SQL_ENGINES["duckdb"].title)
            connection.execute(load)
            assert_same(connection.execute(select).fetchall(), rows, place, bits, weights)
            of_file = select.replace("FROM codes", "FROM 'codes.parquet'")
            assert_same(connection.execute(of_file).fetchall(), rows, place, bits, weights)


def test_statements_of_the_docs_run(tmp_path, root):
    text = (root / "docs/search-at-scale.md").read_text(encoding="utf-8")
    statements = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    assert len(statements) == 3
    rows = make_rows(64)
    write_codes(tmp_path / "codes.parquet", rows, {}, lambda rows: None)
    write_bit_names(tmp_path / "bits.parquet", [BitName(1, "sea", "scene", 0.5, 0.1, True)], 64, {})
    with contextlib.chdir(tmp_path), duckdb.connect(config={"threads": 1}) as connection:
        found = [connection.execute(statement).fetchall() for statement in statements]
        signs = rows.codes.bits
        kept = np.flatnonzero(np.isin(rows.codes.labels[:, 0], [0, 2]))
        query = np.where(np.arange(64)[None] < 3, [[1, -1, 1, *[0] * 61]], 0)
        wanted = search(signs[kept], query, top=20)
        assert [(row[0], row[2]) for row in found[0]] == list(
            zip(kept[wanted.rows[0]].tolist(), wanted.distances[0].tolist(), strict=True))
        assert found[1] == [(2, "sea", 0.5)]
        select = SQL_ENGINES["duckdb"].search(masked_query(signs[5], top=60))
        parts = select.replace("FROM codes", "FROM 'parts/*/*.parquet'")
        assert_same(connection.execute(parts).fetchall(), rows, 5, None, None)


def test_words_without_a_chosen_bit_are_left_out():
    rows = make_rows(256)
    for name in ("duckdb", "spark"):
        text = SQL_ENGINES[name].search(masked_query(rows.codes.bits[0], [64, 70]))
        assert "w1" in text and not any(word in text for word in ("w0", "w2", "w3"))


def test_a_label_cannot_leave_its_comment():
    rows = make_rows(64)
    text = search_sql(masked_query(rows.codes.bits[0], label="a\n; DROP TABLE codes; --\r\u2028b\udcff"), rows)
    assert text.splitlines()[0] == "-- Masked search: a ; DROP TABLE codes; --  b\\xff"
