"""The CSV for PostgreSQL: every row, with empty cells where nothing is known."""

import csv

from ibc.export.csv_rows import write_csv
from tests.export.small_codes import make_rows


def test_rows(tmp_path):
    rows = make_rows(70)
    assert write_csv(tmp_path / "codes.csv", rows, lambda rows: None) == 0
    with open(tmp_path / "codes.csv", newline="", encoding="utf-8") as handle:
        table = list(csv.DictReader(handle))
    assert [row["id"] for row in table] == list(map(str, range(300)))
    assert [row["path"] for row in table] == rows.codes.paths
    assert table[0]["class_id"] == "" and table[0]["class_name"] == ""
    assert [row["code"] for row in table] == ["".join("01"[bit] for bit in code)
                                              for code in (rows.codes.binary_codes > 0.5).astype(int)]
