"""Matrices that lie on their side, class ids from 1 and one-hot labels are put right or said."""

import numpy as np
import pytest

from ibc.code_layout import LIKE_SETS, label_notes
from ibc.codes import CodeSet, load_codes
from ibc.errors import InputError

RANDOM = np.random.default_rng(0)
CLASSES = 5
CENTRES = RANDOM.normal(size=(CLASSES, 12)) * 3
IDS = np.arange(40) % CLASSES
CODES = (1 / (1 + np.exp(-(CENTRES[IDS] + RANDOM.normal(size=(40, 12)))))).astype(np.float32)
GRM = (1 / (1 + np.exp(-CENTRES))).astype(np.float32)
LAB = np.column_stack([IDS, RANDOM.integers(0, 2, (40, 3))]).astype(np.float32)


@pytest.mark.parametrize(("change", "note"), [
    ({"binary_codes": CODES.T}, "binary_codes of 12 x 40 is read transposed"), ({"lab": LAB.T}, "lab of 4 x 40"),
    ({"GRM": GRM.T}, "GRM of 12 x 5"), ({"binary_codes": CODES.T, "lab": LAB.T}, "binary_codes of 12 x 40"),
    ({"binary_codes": CODES.T, "lab": LAB[:, 0]}, "binary_codes"), ({"lab": LAB[None, :, 0]}, None), ({}, None),
    ({"lab": LAB[:, 0]}, None), ({"binary_codes": CODES.T, "code_length": 12}, "binary_codes"),
    ({"binary_codes": (CODES * 4 - 2).T}, "binary_codes"),
])
def test_what_only_fits_transposed_is_read_so_with_a_note(tmp_path, change, note):
    np.savez(tmp_path / "c.npz", **{"binary_codes": CODES, "lab": LAB, "GRM": GRM, **change})
    notes = []
    codes = load_codes(tmp_path / "c.npz", say=notes.append)
    assert np.array_equal(codes.bits, np.sign(CODES - 0.5)) and np.array_equal(codes.grm, GRM)
    assert np.array_equal(codes.categories, IDS)
    assert any(note in line for line in notes) if note else not notes


@pytest.mark.parametrize("change", [
    {"binary_codes": CODES[:, :9].T, "code_length": 12}, {"lab": LAB[:12], "code_length": 12}, {"lab": LAB[:12]},
    {"lab": LAB[:7]}, {"GRM": GRM[:, :7]},
])
def test_what_fits_in_no_way_is_refused(tmp_path, change):
    np.savez(tmp_path / "c.npz", **{"binary_codes": CODES, "lab": LAB, "GRM": GRM, **change})
    with pytest.raises(InputError):
        load_codes(tmp_path / "c.npz", say=lambda note: None)


def with_ids(ids, grm=GRM):
    return CodeSet(CODES, np.asarray(ids, np.float32).reshape(-1, 1), grm)


def test_class_ids_from_1():
    assert label_notes(with_ids(IDS), False) == []
    (note,) = label_notes(with_ids(IDS + 1), False)
    assert "the rows of the GRM fit class ids that begin at 1" in note
    more = np.vstack([GRM, RANDOM.random((4, 12))])  # rows for every id
    assert len(label_notes(with_ids(IDS + 1, more), False)) == 1
    assert "subtract 1" in label_notes(with_ids(IDS + 1, None), False)[0]
    ids = np.where(IDS == 2, 99999, IDS + 1)
    assert len(label_notes(with_ids(ids), False)) == 1


def test_a_set_without_class_0_is_in_order():
    rows = np.flatnonzero(IDS > 0)
    codes = CodeSet(CODES[rows], IDS[rows, None].astype(np.float32), GRM)
    assert label_notes(codes, False) == []
    assert label_notes(CodeSet(codes.binary_codes, codes.labels, None), False, IDS) == []


def test_one_hot_labels():
    for off in (0, -1):
        hot = CodeSet(CODES, np.where(np.eye(CLASSES)[IDS] == 1, 1, off).astype(np.float32))
        assert label_notes(hot, False) == [LIKE_SETS]
        assert label_notes(hot, True) == []
    assert label_notes(CodeSet(CODES, LAB, GRM), False) == []
    both = np.eye(2, dtype=np.float32)[np.arange(40) % 2]
    assert label_notes(CodeSet(CODES, both), False) == [LIKE_SETS]
    for row in ([0, 1], [0, 0, 1], [1, 0]):  # one category with one attribute, or with none
        assert label_notes(CodeSet(CODES, np.tile(np.array(row, np.float32), (40, 1))), False) == []
