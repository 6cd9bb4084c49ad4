"""The SQL of masked search: DuckDB finds by it what the library finds; slow tests run the other engines."""

import contextlib

import pytest

from ibc.export.parquet import write_codes
from ibc.export.query import masked_query
from ibc.export.sql import SQL_ENGINES, search_sql
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
            load, search = section(search_sql(query, rows), SQL_ENGINES["duckdb"].title)
            connection.execute(load)
            assert_same(connection.execute(search).fetchall(), rows, place, bits, weights)
            of_file = search.replace("FROM codes", "FROM 'codes.parquet'")
            assert_same(connection.execute(of_file).fetchall(), rows, place, bits, weights)


def test_words_without_a_chosen_bit_are_left_out():
    rows = make_rows(256)
    for name in ("duckdb", "spark"):
        text = SQL_ENGINES[name].search(masked_query(rows.codes.bits[0], [64, 70]))
        assert "w1" in text and not any(word in text for word in ("w0", "w2", "w3"))


def test_a_label_cannot_leave_its_comment():
    rows = make_rows(64)
    text = search_sql(masked_query(rows.codes.bits[0], label="a\n; DROP TABLE codes; --\r\nb"), rows)
    assert text.splitlines()[0] == "-- Masked search: a ; DROP TABLE codes; -- b"
