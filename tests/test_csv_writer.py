"""A spreadsheet that opens a table of this package runs nothing of it."""

import ast
import csv
import io
from pathlib import Path

import numpy as np
import pytest

from ibc.codes import CodeSet, save_codes
from ibc.commands.evaluate import COMMAND
from ibc.csv_writer import CsvWriter, cell_text, safe_cell, safe_path
from ibc.retrieval.bit_names import load_bit_names
from ibc.retrieval.bits import bits_of_concepts
from tests.conftest import ROOT

RUNS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "-a.jpg", "--", "＝1", "-1_0", "+1 "]
PLAIN = ["", "a=1", "images/-a.jpg", " =1", "'=1", "-1", "+2.5", "-3e-05", "-.5", "1", "é", "_-"]


@pytest.mark.parametrize("text", RUNS)
def test_text_that_a_spreadsheet_runs_is_written_otherwise(text):
    assert safe_cell(text) == f"'{text}" and cell_text(safe_cell(text)) == text
    assert safe_path(text) == f"./{text}"


@pytest.mark.parametrize("cell", [*PLAIN, -1, -1.5, np.float64(-2), None, True])
def test_everything_else_stays(cell):
    assert safe_cell(cell) is cell
    assert safe_path("images/a.jpg") == "images/a.jpg" and safe_path(None) is None


def test_numbers_keep_their_sign():
    text = io.StringIO()
    writer = CsvWriter(text)
    writer.row(["name", "-value"])
    writer.rows([["=x", -0.25], ["a,b", -3]])
    assert text.getvalue() == "name,'-value\n'=x,-0.25\n\"a,b\",-3\n"


def test_every_table_is_written_by_it():
    """But for the journal of a preparation, which the package alone reads."""
    users = set()
    for path in Path(ROOT, "ibc").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("writer", "DictWriter") and ast.unparse(
                    node.value) == "csv":
                users.add(path.relative_to(ROOT).as_posix())
    assert users == {"ibc/csv_writer.py", "ibc/datasets/building/build.py"}


def test_paths_of_a_codes_file_in_a_table(tmp_path):
    paths = ["=cmd|' /C calc'!A0", "-a.jpg", "b.jpg", "@c.jpg"]
    save_codes(tmp_path / "c.npz", CodeSet(np.eye(4, dtype=np.float32), np.zeros((4, 1)), None, paths))
    assert COMMAND([str(tmp_path / "c.npz"), "--top_k_bits", "2", "--per_query", str(tmp_path / "q.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "q.csv").open()))
    assert [row["path"] for row in rows] == ["./=cmd|' /C calc'!A0", "./-a.jpg", "b.jpg", "./@c.jpg"]


def test_concepts_in_a_dissection_table_are_read_back(tmp_path):
    with open(tmp_path / "tally.csv", "w", encoding="utf-8", newline="") as handle:
        writer = CsvWriter(handle, "\r\n")
        writer.row(["unit", "category", "label", "score"])
        writer.row([1, "object", "=sea", 0.3])
    assert bits_of_concepts(tmp_path / "tally.csv", ["=sea"], 0.1).tolist() == [0]
    assert [name.concept for name in load_bit_names(tmp_path / "tally.csv", 1)] == ["=sea"]


def test_columns_are_the_same_rows():
    columns = [[1, -2, 3], ["a", "=x", None], [None, "b", "-1"], [0.5, "=y", ""], ["", "c", "+z"]]
    texts = [io.StringIO(), io.StringIO()]
    CsvWriter(texts[0]).columns(columns)
    CsvWriter(texts[1]).rows(zip(*columns, strict=True))
    assert texts[0].getvalue() == texts[1].getvalue() == "1,a,,0.5,\n-2,'=x,b,'=y,c\n3,,-1,,'+z\n"
