"""The SQL of masked search on an export, for DuckDB, ClickHouse, Spark and PostgreSQL.

Each engine has statements that load the export, to be run in its folder, and one statement that searches. The results
are those of ``ibc.retrieval.search``: exact distances, items at the same distance by ascending id, that is in database
order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ibc.export.query import MaskedQuery, words_of
from ibc.export.rows import BINARY_BITS, ExportRows
from ibc.text_files import printable

# Each bit_count of DuckDB is a TINYINT, and a sum of them would overflow beyond 127; hence the cast.
DUCKDB_TERM = "bit_count(xor(w{word}, {code}::UBIGINT) & {mask}::UBIGINT)::INTEGER"
SPARK_TYPES = {"integer": "INT", "number": "DOUBLE", "flag": "TINYINT", "text": "STRING"}  # of label columns
POSTGRES_TYPES = {"integer": "integer", "number": "double precision", "flag": "smallint", "text": "text"}


@dataclass(frozen=True)
class SqlEngine:
    """An engine. title: its name, with the oldest version that has the functions. notes: what to know, line by line.

    load: the statements that make its table ``codes`` of an export. count: SQL for the number of bits in a mask that
    differ between the query and an item.
    """

    title: str
    notes: tuple[str, ...]
    load: Callable[[ExportRows], list[str]]
    count: Callable[[int, int, MaskedQuery], str]

    def search(self, query: MaskedQuery) -> str:
        """One SELECT: id, path and distance of the nearest items."""
        terms = [self._term(weight, mask, query) for weight, mask in query.groups]
        return (f"SELECT id, path, {_sum(terms)} AS distance\nFROM codes\n"
                f"ORDER BY distance, id\nLIMIT {query.top};")

    def _term(self, weight: float, mask: int, query: MaskedQuery) -> str:
        count = self.count(query.code, mask, query)
        return count if weight == 1 else f"{_double(weight)} * ({count})"


def _double(weight: float) -> str:
    """A literal that engines take for a floating-point number; one without exponent may be an exact decimal."""
    text = repr(weight)
    return text if "e" in text else f"{text}e0"


def _sum(terms: list[str]) -> str:
    return "\n     + ".join(terms)


def _by_words(term: str) -> Callable[[int, int, MaskedQuery], str]:
    """A count made of one ``term`` a word; words in which no bit is chosen are left out, so they are not even read."""
    def count(code: int, mask: int, query: MaskedQuery) -> str:
        words = zip(words_of(code, query.words), words_of(mask, query.words), strict=True)
        return _sum([term.format(word=place, code=own & chosen, mask=chosen, signed_code=_signed(own & chosen),
                                 signed_mask=_signed(chosen)) for place, (own, chosen) in enumerate(words) if chosen])
    return count


def _signed(word: int) -> str:
    """A literal of the signed 64-bit number with the same bits."""
    value = word - (1 << 64) if word >> 63 else word
    return f"{value}L" if value > -(1 << 63) else f"({value + 1}L - 1L)"  # the least one has no literal everywhere


_CLICKHOUSE_WORDS = _by_words("bitCount(bitAnd(bitXor(w{word}, toUInt64({code})), toUInt64({mask})))")


def _count_clickhouse(code: int, mask: int, query: MaskedQuery) -> str:
    if query.length > BINARY_BITS:
        return _CLICKHOUSE_WORDS(code, mask, query)
    return (f"bitHammingDistance(bitAnd(code, toUInt256('{mask}')),\n"
            f"                          toUInt256('{code & mask}'))")


def _count_postgres(code: int, mask: int, query: MaskedQuery) -> str:
    texts = ["".join(str(number >> bit & 1) for bit in range(query.length)) for number in (code & mask, mask)]
    return f"bit_count((code # B'{texts[0]}')\n     & B'{texts[1]}')"


def _load_duckdb(rows: ExportRows) -> list[str]:
    return ["CREATE OR REPLACE TABLE codes AS SELECT * FROM read_parquet('codes.parquet');"]


def _load_clickhouse(rows: ExportRows) -> list[str]:
    whole = " REPLACE (reinterpretAsUInt256(code) AS code)" if rows.codes.code_length <= BINARY_BITS else ""
    return ["DROP TABLE IF EXISTS codes;",
            "CREATE TABLE codes ENGINE = MergeTree ORDER BY id AS\n"
            f"SELECT *{whole}\nFROM file('codes.parquet', Parquet);"]


def _load_spark(rows: ExportRows) -> list[str]:
    columns = ["id BIGINT", "path STRING", *(f"{column.name} {SPARK_TYPES[column.kind]}" for column in rows.labels),
               *(f"{name} BIGINT" for name in rows.word_names)]
    return [f"CREATE OR REPLACE TEMPORARY VIEW codes\n  ({_wrapped(columns)})\n"
            "USING parquet OPTIONS (path 'codes.parquet');"]


def _load_postgres(rows: ExportRows) -> list[str]:
    columns = ["id bigint PRIMARY KEY", "path text",
               *(f"{column.name} {POSTGRES_TYPES[column.kind]}" for column in rows.labels),
               f"code bit({rows.codes.code_length})"]
    return ["DROP TABLE IF EXISTS codes;", f"CREATE TABLE codes\n  ({_wrapped(columns)});",
            "\\copy codes FROM 'codes.csv' WITH (FORMAT csv, HEADER)"]


def _wrapped(columns: list[str]) -> str:
    lines = [", ".join(columns[start : start + 5]) for start in range(0, len(columns), 5)]
    return ",\n   ".join(lines)


SQL_ENGINES = {
    "duckdb": SqlEngine(
        "DuckDB",
        ("Each bit_count is a TINYINT, and a sum of them would overflow beyond 127; hence the cast.",
         "Reads the file itself as well: FROM 'codes.parquet' in place of FROM codes, no table needed."),
        _load_duckdb, _by_words(DUCKDB_TERM)),
    "clickhouse": SqlEngine(
        "ClickHouse",
        ("On a server put codes.parquet into its user_files folder; clickhouse local reads it where it is.",
         "Where SELECT bitHammingDistance(toUInt256(0), toUInt256(0) - 1) is not 256, your version counts wide numbers",
         "in one byte. Then take the words: bitCount(bitXor(w0, q0) & m0) + ..., which is the same."),
        _load_clickhouse, _count_clickhouse),
    "spark": SqlEngine(
        "Spark SQL 3.5",
        ("Spark has no unsigned type. Declared as BIGINT, w0, w1, ... have the same 64 bits; do not let Spark infer",
         "the columns, or they become decimals, of which bit_count knows nothing."),
        _load_spark, _by_words("bit_count((w{word} ^ {signed_code}) & {signed_mask})")),
    "postgresql": SqlEngine(
        "PostgreSQL 14",
        ("In psql, with codes.csv (ibc export --csv). Bit 1 is the first character of a code.",),
        _load_postgres, _count_postgres),
}


def search_sql(query: MaskedQuery, rows: ExportRows) -> str:
    """The text of ``search.sql``: one section an engine, that loads the export and searches."""
    bits = query.bits
    shown = ", ".join(str(bit + 1) for bit in bits[:20]) + (f" and {len(bits) - 20} more" if len(bits) > 20 else "")
    lines = [f"-- Masked search: {printable(query.label)}", f"-- {len(bits)} of {query.length} bits: {shown}",
             "-- Ties in database order (by id). Run each section in this folder; the first statements load the codes."]
    for engine in SQL_ENGINES.values():
        lines += ["", f"-- ==== {engine.title} ====", *(f"-- {note}" for note in engine.notes), *engine.load(rows), "",
                  engine.search(query)]
    return "\n".join(lines) + "\n"
