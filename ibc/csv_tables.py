"""CSV tables of others: rows with their line numbers, and errors that name file and line.

What can go wrong in such a file ends here in an InputError: bytes that are no text, fields without end, rows of another
length than the header, columns that are missing.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence

from ibc.errors import input_error
from ibc.text_files import read_text


def csv_rows(text: str, where: str | os.PathLike, *, delimiter: str = ",", first_line: int = 1,
             skip_blanks: bool = False) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of each row of a text that is not blank.

    first_line: the number of the text's first line. skip_blanks: leave out those after a delimiter. Raises InputError.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=skip_blanks)
    try:
        for fields in reader:
            if any(fields):
                yield first_line - 1 + reader.line_num, fields
    except csv.Error as error:
        raise input_error(where, f"text that is no table ({error})", "a CSV table",
                          line=first_line - 1 + reader.line_num) from None


def csv_records(text: str, where: str | os.PathLike, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, column -> field) of each row below the header, which has at least ``columns``. Raises InputError."""
    rows = csv_rows(text, where)
    header = [name.strip() for name in next(rows, (1, []))[1]]
    if lacking := [name for name in columns if name not in header]:
        raise input_error(where, f"no column '{lacking[0]}'", f"the columns {', '.join(columns)}", line=1)
    for line, row in rows:
        if len(row) != len(header):
            raise input_error(where, f"{len(row)} fields", f"{len(header)}, as in the header", line=line)
        yield line, dict(zip(header, row, strict=True))


def read_records(path: str | os.PathLike, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """``csv_records`` of a file. Raises OSError where it cannot be read."""
    return csv_records(read_text(path), path, columns)
