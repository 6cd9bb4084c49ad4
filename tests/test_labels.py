"""Labels of a codes file: one category an item, or a set of labels an item."""

import numpy as np
import pytest

from ibc.codes import CodeSet
from ibc.errors import InputError
from ibc.labels import NO_CATEGORY, Labels


def codes(labels, grm_rows=None):
    labels = np.array(labels, np.float32)
    grm = None if grm_rows is None else np.ones((grm_rows, 2), np.float32)
    return CodeSet(np.ones((len(labels), 2), np.float32), labels, grm)


def test_sets_hold_what_is_exactly_1():
    sets = codes([[0, 1, 1], [2, 1, 0], [-1, 0, 0], [NO_CATEGORY, 1, 1]], 3).item_labels(True)
    assert sets.values.tolist() == [[False, True, True], [False, True, False], [False] * 3, [False] * 3]
    assert sets.has_class.tolist() == [True, True, False, False]
    assert sets.class_sizes() == {1: 2, 2: 1}
    assert [rows.tolist() for rows in sets.class_rows(np.array([2, 1]))] == [[0], [0, 1]]
    assert sets.texts() == ["1;2", "1", "", ""]


def test_ids_are_column_0():
    ids = codes([[3, 1], [NO_CATEGORY, 1], [3, 0], [0, 0]]).item_labels(False)
    assert ids.values.tolist() == [3, NO_CATEGORY, 3, 0]
    assert ids.has_class.tolist() == [True, False, True, True]
    assert ids.class_sizes() == {0: 1, 3: 2, NO_CATEGORY: 1}
    assert [rows.tolist() for rows in ids.class_rows(np.array([3, 0]))] == [[0, 2], [3]]
    assert ids.texts() == ["3", str(NO_CATEGORY), "3", "0"]


@pytest.mark.parametrize(("labels", "grm_rows", "multi_label", "message"), [
    ([[0], [np.nan]], None, False, "f.npz: found the category nan in row 2"),
    ([[0], [np.inf]], None, False, "the category inf in row 2"),
    ([[0.5]], None, False, "the category 0.5 in row 1"),
    ([[1], [0]], None, True, "one label column"),
    ([[1, 0]], 3, True, "2 label columns with --multi_label, expected 3"),
    ([[1, 0], [1, 4]], None, True, "the label 4.0 in row 2"),
])
def test_other_labels_are_refused(labels, grm_rows, multi_label, message):
    with pytest.raises(InputError, match=message):
        codes(labels, grm_rows).item_labels(multi_label, "f.npz")


def test_what_looks_like_sets():
    assert codes([[0, 1, 1], [0, 0, 0]], 3).looks_multi_label
    for other in (codes([[0, 1, 1]]), codes([[0, 1, 1]], 4), codes([[5, 1, 1]], 3), codes(np.zeros((0, 3)), 3)):
        assert not other.looks_multi_label


def test_means_by_class():
    assert Labels(np.array([4, 7, 4])).class_means(np.array([1.0, 0.5, 0.0])) == {4: 0.5, 7: 0.5}
    sets = Labels(np.array([[True, False, True], [False, False, True]]))
    assert sets.class_means(np.array([1.0, 0.5])) == {0: 1.0, 2: 0.75}
