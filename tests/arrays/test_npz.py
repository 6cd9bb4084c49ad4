""".npz files: what their headers declare is checked before memory is taken."""

import io
import struct
import zipfile

import numpy as np
import pytest

from ibc.array_files import read_arrays
from ibc.arrays.npz import read_npy
from ibc.errors import InputError


def npy(shape, dtype="<f4", content=b"", version=(1, 0)):
    buffer = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    write = np.lib.format.write_array_header_1_0 if version == (1, 0) else np.lib.format.write_array_header_2_0
    write(buffer, header)
    return buffer.getvalue() + content


def packed(path, content, compress=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compress) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("data", [npy((10**6, 10**6)), npy((2**40,)), npy((3, 3), content=bytes(8)), npy((3,), "|O"),
                                  b"\x93NUMPY\x09\x00", b"", b"hello", npy((-3, 3)), npy((3, 3), version=(2, 0))])
def test_what_is_declared_and_not_there(tmp_path, data):
    with pytest.raises(InputError, match="unreadable"):
        read_arrays(packed(tmp_path / "c.npz", {"m.npy": data}), ("m",))


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("IBC_ARRAY_GB", "0.01")
    path = packed(tmp_path / "c.npz", {"m.npy": npy((3000, 1000), "|u1", bytes(3_000_000))})
    assert path.stat().st_size < 10_000
    with pytest.raises(InputError, match="IBC_ARRAY_GB"):
        read_arrays(path, ("m",))


def test_a_zip_whose_directory_lies(tmp_path):
    path = packed(tmp_path / "c.npz", {"m.npy": npy((4, 4), content=bytes(64))}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02")
    data[place + 20 : place + 28] = struct.pack("<II", 2**31, 2**31)  # both sizes in the directory
    path.write_bytes(data)
    with pytest.raises(InputError):
        read_arrays(path, ("m",))


def test_members_that_are_not_wanted_do_not_matter(tmp_path):
    path = packed(tmp_path / "c.npz", {"m.npy": npy((1,), content=bytes(4)), "x.npy": b"hello", "x": b"hello"})
    assert read_arrays(path, ("m",))["m"].tolist() == [0]


def test_npy_files(tmp_path):
    np.save(tmp_path / "good.npy", np.arange(4.0))
    assert read_npy(tmp_path / "good.npy").tolist() == [0, 1, 2, 3]
    for data in (npy((10**12,)), npy((3,), "|O"), b"hello", b"", npy((4,), content=bytes(15))):
        (tmp_path / "bad.npy").write_bytes(data)
        with pytest.raises(InputError, match=r"unreadable file .*expected a whole \.npy file"):
            read_npy(tmp_path / "bad.npy")
