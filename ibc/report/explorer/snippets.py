"""The Python call and the SQL that give the same result as a view of the page.

They hold placeholders, which the page fills in: see docs/explorer.md.
"""

from __future__ import annotations

import os

from ibc.export.query import WORD
from ibc.export.sql import DUCKDB_TERM

_PYTHON = """\
from ibc.codes import load_codes
from ibc.retrieval import search

codes = load_codes({file})
rows, distances = search(codes.bits, [[{query}]], bits=[{bits}], top={top})
for row, distance in zip(rows[0], distances[0]):
    print(f"{distance:g}  {codes.paths[row]}")
"""


def python_snippet(codes_file: str | os.PathLike) -> str:
    """Reads the codes file and searches it. Placeholders: {query}, {bits}, {top}."""
    name = repr(os.fspath(codes_file)).replace("{", "\\x7b").replace("}", "\\x7d")
    return _PYTHON.replace("{file}", name)


def sql_snippet(code_length: int) -> str:
    """DuckDB's SQL for what ``ibc export`` writes. Placeholders: {q0}, ... and {m0}, ... a 64-bit word, and {top}."""
    terms = [DUCKDB_TERM.format(word=word, code=f"{{q{word}}}", mask=f"{{m{word}}}")
             for word in range(-(-code_length // WORD))]
    total = "\n     + ".join(terms)
    return (f"-- DuckDB, in the folder that ibc export wrote\nSELECT id, path, {total} AS distance\n"
            "FROM read_parquet('codes.parquet')\nORDER BY distance, id\nLIMIT {top};\n")
