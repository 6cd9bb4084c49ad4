"""Codes of any program are the same bits; what their numbers leave open is refused with the choice."""

import numpy as np
import pytest

from ibc.code_kinds import KINDS
from ibc.code_reading import check_alike, recognise
from ibc.codes import CodeSet, as_signs, binarise, load_codes, pack_bits
from ibc.errors import InputError

LOGITS = np.random.default_rng(0).normal(size=(300, 24)) * 2
BITS = LOGITS > 0
PACKED = np.packbits(BITS, axis=1)


def read(values, kind=None, length=None):
    reading = recognise(values, "codes.npz", length, kind)
    codes = reading.convert(values)
    assert codes.dtype == np.float32 and codes.min() >= 0 and codes.max() <= 1
    return reading, codes


@pytest.mark.parametrize(("kind", "values"), [
    ("sigmoid", 1 / (1 + np.exp(-LOGITS))), ("sigmoid", BITS), ("sigmoid", BITS.astype(np.uint8)),
    ("sigmoid", BITS.astype(np.int64)), ("sigmoid", np.where(BITS, 1.0000001, -1e-8)),
    ("sign", np.sign(LOGITS)), ("sign", np.sign(LOGITS).astype(np.int8)), ("sign", np.full((300, 24), -1)),
    ("tanh", np.tanh(LOGITS)), ("tanh", np.tanh(LOGITS) * 0.1), ("logit", LOGITS), ("logit", LOGITS.astype(np.float32)),
    ("logit", LOGITS.astype(np.float16)), ("logit", LOGITS * 1e200), ("byte", np.where(BITS, 255, 0).astype(np.uint8)),
    ("byte", np.where(BITS, 255.0, 0.0)),
])
def test_clear_kinds_are_told_from_the_numbers(kind, values):
    reading, codes = read(values)
    expected = values > 0 if kind != "sigmoid" else BITS
    assert reading.kind == kind
    assert np.array_equal(codes > 0.5, expected) and not (codes == 0.5).any()
    assert (KINDS[kind] in reading.note and "codes.npz" in reading.note) if kind != "sigmoid" else reading.note == ""


@pytest.mark.parametrize(("values", "length", "kinds"), [
    (np.round(255 / (1 + np.exp(-LOGITS))).astype(np.uint8), None, ("byte", "packed", "packed_little")),
    (PACKED, None, ("byte", "packed", "packed_little")), (PACKED, 24, ("packed", "packed_little")),
    (PACKED.astype(np.float64), 23, ("packed", "packed_little")),
    (PACKED.view(np.int8), None, ("logit", "packed", "packed_little")),
    (pack_bits(BITS)[0], None, ("packed_little",)),
    (np.abs(LOGITS), None, ("sigmoid",)),
    (np.abs(LOGITS) * 30, None, ("sigmoid", "byte")), (np.where(BITS, 1.2, -0.1), None, ("sigmoid", "logit")),
    (np.where(BITS, 0.93, -0.1), None, ("sigmoid", "tanh", "logit")), (np.where(BITS, 2, 1), None, ("packed",)),
])
def test_what_may_be_several_kinds_is_refused_with_the_choice(values, length, kinds):
    with pytest.raises(InputError, match="say what they are") as error:
        recognise(values, "codes.npz", length)
    assert all(f"--codes {kind}" in str(error.value) for kind in kinds)


@pytest.mark.parametrize(("values", "length"), [
    (-np.abs(LOGITS), None), (np.abs(LOGITS) * 1000, None), (np.abs(LOGITS) + 1, None),
    (np.round(100 / (1 + np.exp(-LOGITS))), 24),
])
def test_numbers_that_give_one_bit_only_are_of_no_kind(values, length):
    with pytest.raises(InputError, match="store them as 0 and 1"):
        recognise(values, "codes.npz", length)


@pytest.mark.parametrize(("kind", "values", "length"), [
    ("sigmoid", np.where(BITS, 1.3, -0.2), None), ("tanh", np.where(BITS, 0.9, -0.1), None),
    ("logit", np.where(BITS, 1.2, -0.1), None), ("byte", np.round(255 / (1 + np.exp(-LOGITS))).astype(np.uint8), None),
    ("byte", np.where(BITS, 128.0, 127.0), None), ("packed", PACKED, 24), ("packed", PACKED.view(np.int8), None),
    ("packed", PACKED.astype(np.float64), None), ("packed", PACKED.astype(np.int64), None),
    ("packed_little", np.packbits(BITS, axis=1, bitorder="little"), None),
    ("packed_little", pack_bits(BITS)[0], 24), ("packed_little", pack_bits(BITS)[0].astype(">u8"), 24),
    ("packed_little", pack_bits(BITS)[0].view(np.int64), 24), ("sign", np.sign(LOGITS), None),
])
def test_the_kind_that_is_asked_for(kind, values, length):
    reading, codes = read(values, kind, length)
    assert reading.kind == kind and reading.note == ""
    assert np.array_equal(codes > 0.5, BITS)


@pytest.mark.parametrize(("kind", "values", "length"), [
    ("sign", LOGITS, None), ("sign", BITS.astype(int), None), ("tanh", LOGITS, None), ("byte", LOGITS, None),
    ("packed", LOGITS, None), ("packed", pack_bits(BITS)[0], None), ("packed", PACKED, 25), ("float", LOGITS, None),
])
def test_numbers_that_are_not_of_the_kind_asked_for(kind, values, length):
    with pytest.raises(InputError, match=r"--codes|packed bits"):
        recognise(values, None, length, kind)


@pytest.mark.parametrize("kind", ["tanh", "logit", "sigmoid"])
def test_the_side_of_the_threshold_survives_rounding(kind):
    tiny = np.array([[1e-30, -1e-30, 1e-9, -1e-9, 0.0, 0.9, -0.9]])
    values = tiny / 4 + 0.5 if kind == "sigmoid" else tiny
    expected = np.sign(values - 0.5) if kind == "sigmoid" else np.sign(tiny)
    assert binarise(recognise(values, None, kind=kind).convert(values)).tolist() == expected.tolist()


def test_the_order_of_values_stays():
    for values in (LOGITS, np.tanh(LOGITS)):
        _, codes = read(values)
        order = np.argsort(values, axis=0, kind="stable")
        assert (np.diff(np.take_along_axis(codes, order, 0), axis=0) >= 0).all()


def test_sigmoid_values_are_taken_as_they_are():
    values = np.random.default_rng(1).random((70, 9), np.float32)
    assert np.shares_memory(recognise(values, None).convert(values), values)


def test_only_one_of_two_files_reads_as_logits():
    check_alike({"a": "sigmoid", "b": "sigmoid"})
    check_alike({"a": "sign", "b": "logit"})
    with pytest.raises(InputError, match=r"a: found numbers in \[0, 1\], beside b with logits"):
        check_alike({"a": "sigmoid", "b": "logit"})


def test_files_of_other_programs(tmp_path):
    np.savez(tmp_path / "c.npz", binary_codes=np.tanh(LOGITS), lab=np.zeros(300))
    with pytest.warns(UserWarning, match="read as tanh values"):
        codes = load_codes(tmp_path / "c.npz")
    assert codes.kind == "tanh" and np.array_equal(codes.bits > 0, BITS)
    notes = []
    mapped = load_codes(tmp_path / "c.npz", mapped=True, say=notes.append)
    assert len(notes) == 1 and np.array_equal(mapped.binary_codes, codes.binary_codes)
    np.savez(tmp_path / "p.npz", binary_codes=PACKED, lab=np.zeros(300), GRM=np.ones((4, 23)))
    with pytest.raises(InputError, match="--codes packed or"):
        load_codes(tmp_path / "p.npz")
    assert np.array_equal(load_codes(tmp_path / "p.npz", kind="packed").bits > 0, BITS[:, :23])


def test_nothing_else_is_cut_at_one_half():
    for codes in (LOGITS, np.sign(LOGITS)):
        with pytest.raises(InputError, match=r"sigmoid values in \[0, 1\]"):
            binarise(codes)
        with pytest.raises(InputError, match="sigmoid values"):
            CodeSet(codes, np.zeros((300, 1))).bits  # noqa: B018 - a property
    with pytest.warns(UserWarning, match="0 is an undecided bit"):
        as_signs("db_bits", BITS.astype(int))
