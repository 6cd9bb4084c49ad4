"""Arrays in .npz and .mat files: every format gives back what was written."""

import os
import time

import h5py
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


@pytest.mark.parametrize(("name", "largest_v5"), [("c.npz", None), ("c.mat", None), ("c.mat", 100)])
def test_equal_content_makes_equal_files(tmp_path, monkeypatch, name, largest_v5):
    if largest_v5:
        monkeypatch.setattr(array_files, "MAT5_MAX_BYTES", largest_v5)
    files = []
    for day in (1, 2):
        monkeypatch.setattr(time, "asctime", lambda day=day: f"day {day}")
        monkeypatch.setattr(time, "localtime", lambda *_, day=day: time.gmtime(86400 * 365 * 20 * day))
        write_arrays(tmp_path / name, CONTENT)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize("largest_v5", [None, 100])
def test_any_file_name_is_written(tmp_path, monkeypatch, largest_v5):
    if largest_v5:
        monkeypatch.setattr(array_files, "MAT5_MAX_BYTES", largest_v5)
    names = ["𝄞.jpg", "a" * 200, "é", "e\u0301", "x\udcff.jpg", "tab\t"]
    write_arrays(tmp_path / "c.mat", {**CONTENT, "paths": names})
    read = strings(read_arrays(tmp_path / "c.mat", ("paths",), ("paths",))["paths"])
    assert read[:4] == names[:4] and len(read) == len(names)
    assert read[4] == f"x{chr(0xDCFF) if largest_v5 else chr(0xFFFD)}.jpg"


def test_the_format_is_told_from_the_content(tmp_path):
    matrix = np.arange(6.0).reshape(2, 3)
    np.savez(tmp_path / "zip.mat", m=matrix)
    scipy.io.savemat(tmp_path / "v4.mat", {"m": matrix}, format="4")
    scipy.io.savemat(tmp_path / "v7.mat", {"m": matrix}, do_compression=True)
    scipy.io.savemat(tmp_path / "UPPER.MAT", {"m": matrix}, appendmat=False)
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["m"] = matrix
    (tmp_path / "octave.mat").write_text("# Created by Octave 8\n# name: m\n# type: matrix\n# rows: 2\n# columns: 3\n"
                                         " 0 1 2\n 3 4 5\n")
    for path in tmp_path.iterdir():
        assert np.array_equal(read_arrays(path, ("m",))["m"], matrix), path.name


@pytest.mark.parametrize(("content", "words"), [
    (b"Octave-1-L" + bytes(300), "save -v7"), (b"\x1f\x8b" + bytes(300), "save -v7"), (b"", "an empty file"),
    (b"PK\x03\x04", "unreadable"), (b"\x89HDF\r\n\x1a\n" + bytes(3000), "damaged"), (b"hello", "unreadable"),
    (b"MATLAB 7.3".ljust(124) + b"\x00\x02IM" + bytes(600), "damaged"),
])
def test_other_content_is_named(tmp_path, content, words):
    (tmp_path / "c.mat").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_arrays(tmp_path / "c.mat", ("m",))


def test_optional_arrays_do_not_block(tmp_path):
    np.savez(tmp_path / "c.npz", m=np.zeros(3), paths=np.array(["a", "b", None], object))
    notes = []
    assert set(read_arrays(tmp_path / "c.npz", ("m", "paths"), ("paths",), ("paths",), notes.append)) == {"m"}
    assert len(notes) == 1 and notes[0].startswith("paths is left out: ")
    with pytest.raises(InputError, match="Python objects"):
        read_arrays(tmp_path / "c.npz", ("m", "paths"))


def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "c.npz")
    with pytest.raises(OSError, match="no regular file"):
        read_arrays(tmp_path / "c.npz", ("m",))
