"""Arrays in .npz and .mat files: every format gives back what was written."""

import numpy as np
import pytest
import scipy.io

from ibc import array_files
from ibc.array_files import read_arrays, strings, write_arrays
from ibc.errors import InputError

CONTENT = {"binary_codes": np.random.default_rng(0).random((7, 70), np.float32), "code_length": np.array(70),
           "paths": [f"a b/ü{number}.jpg" for number in range(7)]}
NAMES = (*CONTENT, "absent")


@pytest.mark.parametrize(("name", "largest_v5"), [("c.npz", None), ("c.mat", None), ("c.mat", 100)])
def test_round_trip(tmp_path, monkeypatch, name, largest_v5):
    if largest_v5:
        monkeypatch.setattr(array_files, "MAT5_MAX_BYTES", largest_v5)
    write_arrays(tmp_path / name, CONTENT)
    if largest_v5:
        with pytest.raises(NotImplementedError):  # scipy recognises it as v7.3
            scipy.io.loadmat(tmp_path / name)
    read = read_arrays(tmp_path / name, NAMES, text=("paths",))
    assert set(read) == set(CONTENT)
    assert np.array_equal(read["binary_codes"], CONTENT["binary_codes"]) and read["binary_codes"].dtype == np.float32
    assert read["code_length"].reshape(-1).tolist() == [70]
    assert strings(read["paths"]) == CONTENT["paths"]


@pytest.mark.parametrize("use", [lambda path: read_arrays(path, ("lab",)), lambda path: write_arrays(path, CONTENT)])
def test_other_endings_are_refused(tmp_path, use):
    with pytest.raises(InputError, match=r"the file ending '\.csv', expected \.npz or \.mat"):
        use(tmp_path / "c.csv")
