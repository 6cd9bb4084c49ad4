"""The table of images: columns, names, blocks."""

import numpy as np
import pytest

from ibc.codes import CodeSet
from ibc.errors import InputError
from ibc.export.rows import ExportRows, as_bytes, label_columns, plain_names
from tests.export.small_codes import make_codes


def test_labels_become_columns():
    labels = np.array([[3, 1, 2, 0.5], [99999, -1, 0, 7]], np.float32)
    columns = label_columns(CodeSet(np.zeros((2, 8)), labels), class_names=["a", "b"])
    cells = {column.name: (column.kind, column.cells(slice(0, 2))) for column in columns}
    assert cells == {"class_id": ("integer", [3, None]), "class_name": ("text", [None, None]),
                     "has_attribute_1": ("flag", [1, 0]), "has_attribute_2": ("flag", [None, 0]),
                     "has_attribute_3": ("number", [0.5, 7.0])}


def test_label_sets_become_flags():
    labels = np.array([[1, 0], [99999, 1], [0, 2]], np.float32)
    columns = label_columns(CodeSet(np.zeros((3, 8)), labels), multi_label=True, class_names=["Sea View", "x"])
    assert [column.name for column in columns] == ["has_sea_view", "has_x"]
    assert [column.cells(slice(None)) for column in columns] == [[1, None, 0], [0, None, None]]


def test_names_are_plain_and_differ():
    assert plain_names(["a b", "A/B", "<img onerror=x>", "ä", "", "a b 2"]) == [
        "has_a_b", "has_a_b_2", "has_img_onerror_x", "has_label", "has_label_2", "has_a_b_2_2"]


@pytest.mark.parametrize(("arguments", "message"), [
    ({"attribute_names": ["a"]}, "1 names.*2, one for each attribute"),
    ({"class_names": ["a"], "multi_label": True}, "1 names.*3, one for each label"),
])
def test_names_of_another_number(arguments, message):
    with pytest.raises(InputError, match=message):
        label_columns(make_codes(8), **arguments)


def test_a_class_is_a_whole_number():
    with pytest.raises(InputError, match=r"f\.npz: found the category 0\.5 in row 2"):
        label_columns(CodeSet(np.zeros((2, 8)), np.array([[1], [0.5]])), path="f.npz")


def test_blocks_hold_all_bits():
    codes = make_codes(70, 85)
    codes.binary_codes[3, 5] = codes.binary_codes[80, 1] = 0.5
    blocks = list(ExportRows(codes).blocks(40))
    assert [block.part for block in blocks] == [slice(0, 40), slice(40, 80), slice(80, 85)]
    assert [block.undecided for block in blocks] == [1, 0, 1]
    raw = np.concatenate([as_bytes(block.words, 32) for block in blocks])
    assert raw.shape == (85, 32)
    bits = np.unpackbits(raw, axis=1, bitorder="little")
    assert np.array_equal(bits[:, :70], codes.binary_codes > 0.5) and not bits[:, 70:].any()
