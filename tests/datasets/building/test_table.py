"""Tables as Excel, pandas and Windows programs save them."""

from __future__ import annotations

import pytest

from ibc.datasets.building.table import read_attributes, read_labels
from ibc.errors import InputError

TEXT = "image,größe,rund\r\na/0.jpg,1,0\r\na/1.jpg,0,\r\n"


@pytest.mark.parametrize("encoding, separator", [
    ("utf-8", ","), ("utf-8-sig", ";"), ("utf-16", "\t"), ("utf-16-be", "\t"), ("utf-32", ",")])
def test_texts_with_a_byte_order_mark_are_read(tmp_path, encoding, separator):
    text = TEXT.replace(",", separator)
    data = text.encode(encoding)
    (tmp_path / "t.csv").write_bytes(b"\xfe\xff" + data if encoding == "utf-16-be" else data)
    table = read_attributes(tmp_path / "t.csv")
    assert table.names == ["größe", "rund"] and table.rows == {"a/0.jpg": (1, 0), "a/1.jpg": (0, 2)}
    assert table.lines == {"a/0.jpg": 2, "a/1.jpg": 3}


def test_a_code_page_is_named_with_its_line(tmp_path):
    (tmp_path / "t.csv").write_bytes(TEXT.encode("cp1252"))
    with pytest.raises(InputError, match=r"t\.csv:1: found bytes that are not UTF-8.*CSV UTF-8"):
        read_labels(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes("image,red\na/0.jpg,1\ngrün/1.jpg,0\n".encode("cp1252"))
    table = read_labels(tmp_path / "t.csv")
    with pytest.raises(InputError, match=r"t\.csv:3: found bytes that are not UTF-8"):
        table.match(["/a/0.jpg", "/grün/1.jpg"])
    matched, unused = table.match(["/a/0.jpg", "/gr\udcfcn/1.jpg"])  # a file that is named so, byte for byte
    assert len(matched) == 2 and not unused


def test_values_of_excel_and_pandas(tmp_path):
    (tmp_path / "t.csv").write_text("image,a,b,c,,\n1.jpg,1.0,TRUE,nan,,\n2.jpg,0.0,False,-1.0,,\n"
                                    "3.jpg,2.0,0,1\n,,,,,\n")
    table = read_attributes(tmp_path / "t.csv")
    assert table.names == ["a", "b", "c"]
    assert list(table.rows.values()) == [(1, 1, 2), (0, 0, -1), (2, 0, 1)]


def test_the_separator_line_of_excel(tmp_path):
    (tmp_path / "t.csv").write_text("sep=;\nimage;a\n1.jpg;1\n2.jpg;7\n")
    with pytest.raises(InputError, match=r"t\.csv:4: found '7'"):
        read_attributes(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("sep=;\nimage;a\n1.jpg;1\n")
    assert read_attributes(tmp_path / "t.csv").rows == {"1.jpg": (1,)}


def test_what_is_no_table_is_one_line(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"image,a\n" + b"x" * 200_000 + b",1\n")
    with pytest.raises(InputError, match="no table"):
        read_attributes(tmp_path / "t.csv")


def test_accents_are_matched_however_composed(tmp_path):
    (tmp_path / "t.csv").write_text("image,a\ncaf\xe9/1.jpg,1\n")
    matched, _ = read_attributes(tmp_path / "t.csv").match(["/cafe\u0301/1.jpg"])
    assert matched == {"/cafe\u0301/1.jpg": (1,)}
