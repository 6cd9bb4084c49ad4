"""What is typed or comes from an address: bits, groups, items, concepts of a search and of an export."""

from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from ibc.codes import CodeSet
from ibc.commands.search_query import names_in
from ibc.export.query import masked_query
from ibc.export.rows import ExportRows, label_columns
from ibc.export.sql import search_sql
from ibc.retrieval.bit_groups import typed_groups
from ibc.retrieval.bit_names import BitName, bits_named
from ibc.retrieval.bits import parse_bits
from ibc.retrieval.items import find_item
from ibc.retrieval.wishes import make_wish
from tests.fuzz.damage import odd_texts
from tests.fuzz.harness import fuzzed

CODES = CodeSet(np.array([[0.1, 0.9, 0.5], [0.8, 0.2, 0.7]], np.float32), np.array([[0, 1], [1, 0]], np.float32), None,
                ["a b.jpg", "x/c.jpg"])
NAMES = [BitName(0, "sky", "object", 0.4, 0.1, True), BitName(1, "red", "color", 0.2, None, None)]
PARTS = ["1", "2", "3", "-", ",", "+", ";", " ", "1-3", "0", "99", "a b.jpg", "c", "sky"]
typed = st.lists(st.sampled_from(PARTS) | odd_texts(), max_size=5).map("".join)


@fuzzed(typed, examples=["1-99999999999", "²", "1-", "-1", "1,,2", "٣", "9" * 5000])
def test_bits_typed(text: str, folder: Path) -> None:
    parse_bits(text, 64)


@fuzzed(typed, examples=["²;1", "1-99999999999;2"])
def test_groups_typed(text: str, folder: Path) -> None:
    typed_groups(text, 64)


@fuzzed(typed, examples=["²", "9" * 5000, "-1"])
def test_item_typed(text: str, folder: Path) -> None:
    find_item(text, CODES, "codes.npz")


@fuzzed(st.tuples(typed, typed))
def test_wish_typed(value: tuple[str, str], folder: Path) -> None:
    make_wish(*([name for concept in names_in(text, "--want") for name in bits_named(NAMES, concept)]
                for text in value))


@fuzzed(st.tuples(typed, st.lists(odd_texts(), min_size=2, max_size=2), odd_texts(), st.integers(-1, 4)))
def test_export_query(value: tuple[str, list[str], str, int], folder: Path) -> None:
    label, paths, name, top = value
    codes = CodeSet(CODES.binary_codes, CODES.labels, None, paths)
    rows = ExportRows(codes, label_columns(codes, attribute_names=[name or "x"]))
    search_sql(masked_query(np.array([1, -1, 1], np.int8), top=top, label=label), rows)
