"""MATLAB v5 to v7: what scipy reads is read the same; what is damaged is named, and never crashes."""

import contextlib
import io
import struct

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from ibc.arrays import mat5
from ibc.arrays.limits import MemoryLimit
from ibc.errors import InputError

RANDOM = np.random.default_rng(0)


def written(content, **how):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, content, **how)
    return buffer.getvalue()


def read(data):
    found = mat5.variables(io.BytesIO(data), len(data), "f.mat", MemoryLimit("f.mat", len(data)))
    return {name: reader() for name, reader in found.items()}


def same(ours, theirs):
    if isinstance(theirs, np.ndarray):
        assert ours.shape == theirs.shape
        if theirs.dtype.names:
            assert ours.dtype.names == theirs.dtype.names
            return all(same(ours[name], theirs[name]) for name in theirs.dtype.names)
        if theirs.dtype == object:
            return all(same(a, b) for a, b in zip(ours.ravel(), theirs.ravel(), strict=True))
        return np.array_equal(ours, theirs)
    return ours == theirs


def cells(*items):
    found = np.empty((len(items), 1), object)
    found[:, 0] = items
    return found


CONTENT = {
    **{np.dtype(kind).name: (RANDOM.random((5, 3)) * 100).astype(kind)
       for kind in ("f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")},
    "row": np.arange(7.0)[None], "column": np.arange(7.0)[:, None], "number": 3.5, "whole": 7, "yes": True,
    "flags": RANDOM.random((4, 4)) > 0.5, "complex": RANDOM.random((2, 3)) + 1j, "cube": RANDOM.random((2, 3, 4)),
    "empty": np.zeros((0, 0)), "no_rows": np.zeros((0, 5)), "text": "ümlaut €", "no_text": "", "long_text": "x" * 300,
    "rows_of_text": np.array(["ab", "c ", "dé"]), "names": cells("a", "bc", "été/𝄞.jpg", "", "abc", "abcd", "abcde"),
    "mixed": cells(np.arange(3), "x", cells("y"), np.zeros((0, 0))), "record": {"a": np.arange(3), "b": "text"},
    "records": np.array([[(1, "x"), (2, "yz")]], [("id", object), ("name", object)]),
    "no_records": np.empty((0, 1), [("id", object), ("name", object)]),
}


@pytest.mark.parametrize("compressed", [False, True])
def test_what_scipy_reads(compressed):
    data = written(CONTENT, do_compression=compressed)
    theirs = {name: value for name, value in scipy.io.loadmat(io.BytesIO(data)).items() if not name.startswith("__")}
    ours = read(data)
    assert set(ours) == set(theirs) == set(CONTENT)
    for name, value in theirs.items():
        assert same(ours[name], value), name


@pytest.mark.parametrize("matrix", [np.eye(4)[[0, 2, 1, 3, 3]], np.zeros((3, 2)), RANDOM.random((6, 7)) * (
    RANDOM.random((6, 7)) > 0.7), np.zeros((0, 0)), np.eye(3) > 0])
def test_sparse_matrices_become_full(matrix):
    data = written({"m": scipy.sparse.csc_matrix(matrix)})
    assert np.array_equal(read(data)["m"], matrix)


def test_files_of_machines_with_the_other_order_of_bytes():
    def element(kind, content):
        return struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8)

    matrix = (element(6, struct.pack(">II", 6, 0)) + element(5, struct.pack(">ii", 2, 3)) + element(1, b"m")
              + element(9, np.arange(6, dtype=">f8").tobytes()))
    data = b"MATLAB 5.0".ljust(124) + b"\x01\x00MI" + element(14, matrix)
    assert np.array_equal(read(data)["m"], np.arange(6.0).reshape(2, 3, order="F"))
    assert np.array_equal(scipy.io.loadmat(io.BytesIO(data))["m"], read(data)["m"])


def test_objects_are_named_only_where_they_are_wanted():
    def element(kind, content):
        return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)

    opaque = element(6, struct.pack("<II", 17, 0)) + element(1, b"paths") + element(1, b"MCOS") + element(1, b"string")
    data = written({"a": 1.0}) + element(14, opaque)
    found = mat5.variables(io.BytesIO(data), len(data), "f.mat", MemoryLimit("f.mat", len(data)))
    assert found["a"]() == 1
    with pytest.raises(InputError, match=r"'paths' that is an object, such as a string or a table.*cellstr"):
        found["paths"]()


def test_no_flipped_byte_crashes():
    for compressed in (False, True):
        data = written({"m": np.ones((2, 2)), "s": scipy.sparse.csc_matrix(np.eye(3)), "c": cells("ab", "c")},
                       do_compression=compressed)
        for place in range(124, len(data)):
            for value in (0, 1, 5, 11, 14, 17, 255):
                changed = bytearray(data)
                changed[place] = value
                with contextlib.suppress(InputError):
                    read(bytes(changed))


def test_declared_sizes_take_no_memory(monkeypatch):
    monkeypatch.setenv("IBC_ARRAY_GB", "0.01")
    data = bytearray(written({"m": np.zeros((2, 0))}))
    place = data.index(struct.pack("<ii", 2, 0))
    data[place : place + 8] = struct.pack("<ii", 2**31 - 1, 2**31 - 1)
    with pytest.raises(InputError, match="numbers for the shape"):
        read(bytes(data))
    bomb = written({"m": np.zeros((3000, 1000), np.uint8)}, do_compression=True)
    with pytest.raises(InputError, match="IBC_ARRAY_GB"):
        read(bomb)
    assert read(written({"m": np.zeros((3000, 300))}, do_compression=True))["m"].size == 900_000  # 7.2 of 10 MB
    data = bytearray(written({"m": scipy.sparse.csc_matrix(np.zeros((3, 1)))}))
    place = data.index(struct.pack("<ii", 3, 1))
    data[place : place + 4] = struct.pack("<i", 2**31 - 1)
    with pytest.raises(InputError, match="IBC_ARRAY_GB"):
        read(bytes(data))
