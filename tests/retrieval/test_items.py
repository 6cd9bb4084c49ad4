"""Images as people name them."""

import numpy as np
import pytest

from ibc.codes import CodeSet
from ibc.retrieval.items import find_item, find_items

CODES = CodeSet(np.zeros((5, 2), np.float32), np.zeros((5, 1), np.float32), None,
                ["a/1.jpg", "a/2.jpg", "b/1.jpg", "b/c/3.jpg", "b/c/44.jpg"])


@pytest.mark.parametrize(("text", "row"), [("1", 0), ("5", 4), ("a/2.jpg", 1), ("3.jpg", 3), ("c/44.jpg", 4),
                                           ("/data/set/b/1.jpg", 2), ("./a/1.jpg", 0)])
def test_one_item(text, row):
    assert find_item(text, CODES, "codes.npz") == row


@pytest.mark.parametrize(("text", "message"), [
    ("0", "item 0, expected 1 to 5"), ("6", "item 6, expected 1 to 5"), ("1.jpg", "2 images called '1.jpg'"),
    ("a/3.jpg", "no image 'a/3.jpg', .*; near names: a/"), ("zzz", "paths look like a/1.jpg")])
def test_no_such_item(text, message):
    with pytest.raises(ValueError, match=message):
        find_item(text, CODES, "codes.npz")
    with pytest.raises(ValueError, match="no paths in the codes file"):
        find_item("a/1.jpg", CodeSet(CODES.binary_codes, CODES.labels), "codes.npz")


def test_lists_and_folders():
    assert find_items("5,1-3,2", CODES, "codes.npz").tolist() == [0, 1, 2, 4]
    assert find_items("b", CODES, "codes.npz").tolist() == [2, 3, 4]
    assert find_items("b/c/", CODES, "codes.npz").tolist() == [3, 4]
    assert find_items("3.jpg,a/1.jpg", CODES, "codes.npz").tolist() == [0, 3]
    assert find_items("elsewhere", CODES, "codes.npz") is None
    with pytest.raises(ValueError, match="item 9"):
        find_items("1-9", CODES, "codes.npz")
