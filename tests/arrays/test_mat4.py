"""MATLAB v4."""

import contextlib
import io

import numpy as np
import pytest
import scipy.io

from ibc.arrays import mat4
from ibc.arrays.limits import MemoryLimit
from ibc.errors import InputError

RANDOM = np.random.default_rng(0)
CONTENT = {"doubles": RANDOM.random((5, 3)), "singles": RANDOM.random((5, 3)).astype(np.float32),
           "bytes": np.arange(6, dtype=np.uint8).reshape(2, 3), "words": np.arange(6, dtype=np.int16).reshape(3, 2),
           "number": np.array([[2.5]]), "text": np.array(["abc", "de "]), "complex": RANDOM.random((2, 2)) + 2j,
           "empty": np.zeros((0, 3))}


def written(content):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, content, format="4")
    return buffer.getvalue()


def read(data):
    found = mat4.variables(io.BytesIO(data), len(data), "f.mat", MemoryLimit("f.mat", len(data)))
    return {name: reader() for name, reader in found.items()}


def test_what_scipy_reads():
    data = written(CONTENT)
    assert mat4.is_mat4(data[:1024], len(data))
    theirs, ours = scipy.io.loadmat(io.BytesIO(data)), read(data)
    for name in CONTENT:
        assert np.array_equal(ours[name], theirs[name]), name


def test_sparse_matrices_become_full():
    full = RANDOM.random((6, 5)) * (RANDOM.random((6, 5)) > 0.6)
    rows, columns = np.nonzero(full)
    triples = np.column_stack([rows + 1, columns + 1, full[rows, columns]])
    data = bytearray(written({"m": np.vstack([triples, [6, 5, 0]])}))
    data[0] = 2  # the type of the matrix: sparse
    assert np.array_equal(read(bytes(data))["m"], full)


def test_no_flipped_byte_crashes():
    data = written({"m": np.ones((2, 2)), "t": np.array(["ab"])})
    for place in range(len(data)):
        for value in (0, 1, 2, 50, 128, 255):
            changed = bytearray(data)
            changed[place] = value
            if mat4.is_mat4(bytes(changed[:1024]), len(changed)):
                with contextlib.suppress(InputError):
                    read(bytes(changed))


@pytest.mark.parametrize("data", [b"hello", b"", bytes(20), b"\0" * 500])
def test_other_files_are_not_taken_for_it(data):
    assert not mat4.is_mat4(data, len(data))
