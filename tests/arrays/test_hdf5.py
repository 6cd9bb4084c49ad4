"""HDF5 files of MATLAB, Octave and h5py; none makes the reader look into another file or fill the memory."""

import zlib

import h5py
import numpy as np
import pytest
import scipy.sparse

from ibc.arrays.hdf5 import open_variables
from ibc.arrays.limits import MemoryLimit
from ibc.errors import InputError

MATRIX = np.arange(12.0).reshape(4, 3)


def read(path, name="m", is_text=False):
    with open_variables(path, MemoryLimit(path, path.stat().st_size)) as found:
        return found[name](is_text)


def matlab(path, fill, header=True):
    with h5py.File(path, "w", userblock_size=512 if header else 0) as file:
        fill(file)
    return path


def put(file, name, value, kind, **attributes):
    dataset = file.create_dataset(name, data=np.atleast_2d(value).T)
    dataset.attrs["MATLAB_class"] = np.bytes_(kind)
    for key, item in attributes.items():
        dataset.attrs[key] = item
    return dataset


@pytest.mark.parametrize("header", [True, False])
def test_matlab_matrices_stand_upright(tmp_path, header):
    path = matlab(tmp_path / "f.mat", lambda file: put(file, "m", MATRIX, "double"), header)
    assert np.array_equal(read(path), MATRIX)


def test_plain_files_are_as_h5py_wrote_them(tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["m"], file["line"] = MATRIX, np.arange(4)
        file["names"] = ["a/é.jpg", "b", "c"]
        file["one"], file["row"] = "abc", np.array(["a"], h5py.string_dtype())[None]
        file["fixed"] = np.array([b"ab", b"c"])
        file["packed"] = np.asarray(MATRIX > 3)
        file.create_dataset("z", data=MATRIX, compression="gzip", chunks=True)
    assert np.array_equal(read(tmp_path / "f.h5"), MATRIX) and np.array_equal(read(tmp_path / "f.h5", "z"), MATRIX)
    assert read(tmp_path / "f.h5", "line").tolist() == [0, 1, 2, 3]
    assert read(tmp_path / "f.h5", "names", True).tolist() == ["a/é.jpg", "b", "c"]
    assert read(tmp_path / "f.h5", "one", True).tolist() == ["abc"]
    assert read(tmp_path / "f.h5", "row", True).tolist() == ["a"]
    assert read(tmp_path / "f.h5", "fixed", True).tolist() == ["ab", "c"]
    assert np.array_equal(read(tmp_path / "f.h5", "packed"), MATRIX > 3)


def test_matlab_kinds(tmp_path):
    full = np.eye(5)[[0, 2, 1, 4]]

    def fill(file):
        sparse = scipy.sparse.csc_matrix(full)
        group = file.create_group("sparse")
        group.attrs["MATLAB_sparse"] = np.uint64(4)
        group["data"], group["ir"], group["jc"] = sparse.data, sparse.indices, sparse.indptr
        none = file.create_group("zeros")
        none.attrs["MATLAB_sparse"] = np.uint64(3)
        none["jc"] = np.zeros(3, np.uint64)
        put(file, "empty", np.array([0, 7], np.uint64), "double", MATLAB_empty=np.uint8(1))
        put(file, "text", np.frombuffer("é𝄞".encode("utf-16-le"), np.uint16), "char")
        refs = []
        for number, text in enumerate(["a.jpg", "é", ""]):
            units = np.frombuffer(text.encode("utf-16-le"), np.uint16)
            put(file, f"#refs#/{number}", units if text else np.zeros(2, np.uint64), "char",
                **({} if text else {"MATLAB_empty": np.uint8(1)}))
            refs.append(file[f"#refs#/{number}"].ref)
        cells = file.create_dataset("cells", (1, 3), h5py.ref_dtype)
        cells[0] = refs
        cells.attrs["MATLAB_class"] = np.bytes_("cell")
        file.create_group("struct")["a"] = 1
        put(file, "string", np.array([3707764736, 2, 1], np.uint32), "string", MATLAB_object_decode=np.int32(3))

    path = matlab(tmp_path / "f.mat", fill)
    assert np.array_equal(read(path, "sparse"), full) and np.array_equal(read(path, "zeros"), np.zeros((3, 2)))
    assert read(path, "empty").shape == (0, 7) and read(path, "text").tolist() == ["é𝄞"]
    assert read(path, "cells", True).tolist() == ["a.jpg", "é", ""]
    for name, words in (("struct", "structure"), ("string", "an object, such as a string")):
        with pytest.raises(InputError, match=words):
            read(path, name)


def octave(file, name, kind, value):
    group = file.create_group(name)
    group.attrs["OCTAVE_NEW_FORMAT"] = np.uint8(1)
    group["type"] = np.bytes_(kind)
    if value is not None:
        group["value"] = value
    return group


def test_octave_files(tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as file:
        octave(file, "m", "matrix", MATRIX.T)
        octave(file, "singles", "float matrix", MATRIX.T.astype(np.float32))
        octave(file, "number", "scalar", 16.0)
        octave(file, "word", "string", np.frombuffer(b"hello", np.int8)[:, None])
        octave(file, "empty", "matrix", np.array([0, 3])).attrs["OCTAVE_EMPTY_MATRIX"] = np.uint8(1)
        sparse = scipy.sparse.csc_matrix(np.eye(3)[[0, 2, 1]])
        value = octave(file, "sparse", "sparse matrix", None).create_group("value")
        value["nr"], value["nc"], value["nz"] = 3, 3, 3
        value["cidx"], value["ridx"], value["data"] = sparse.indptr, sparse.indices, sparse.data
        cells = octave(file, "cells", "cell", None).create_group("value")
        cells["dims"] = [2, 1]
        for number, text in enumerate((b"a.jpg", b"bc")):
            octave(cells, f"_{number}", "string", np.frombuffer(text, np.int8)[:, None])
        octave(file, "struct", "scalar struct", None).create_group("value")
    path = tmp_path / "f.h5"
    assert np.array_equal(read(path), MATRIX) and np.array_equal(read(path, "singles"), MATRIX)
    assert read(path, "number").item() == 16 and read(path, "word", True).tolist() == ["hello"]
    assert read(path, "empty").size == 0 and np.array_equal(read(path, "sparse"), np.eye(3)[[0, 2, 1]])
    assert read(path, "cells", True).tolist() == ["a.jpg", "bc"]
    with pytest.raises(InputError, match="scalar struct of Octave"):
        read(path, "struct")


def test_nothing_but_the_file_itself_is_read(tmp_path):
    (tmp_path / "secret").write_bytes(MATRIX.tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["m"] = MATRIX
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("external", (4, 3), "f8", external=[(str(tmp_path / "secret"), 0, 96)])
        file["link"] = h5py.ExternalLink("other.h5", "m")
        file["soft"] = h5py.SoftLink("/link")
        layout = h5py.VirtualLayout((4, 3), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "m", (4, 3))
        file.create_virtual_dataset("virtual", layout)
        sparse = file.create_group("sparse")
        sparse.attrs["MATLAB_sparse"] = np.uint64(4)
        sparse["jc"] = h5py.ExternalLink("other.h5", "m")
    for name, words in (("external", "another file"), ("link", "a link"), ("soft", "a link"),
                        ("virtual", "another file"), ("sparse", "a link")):
        with pytest.raises(InputError, match=words):
            read(tmp_path / "f.h5", name)


def test_declared_sizes_take_no_memory(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("m", (2**20, 2**20), "f8", chunks=(64, 64), compression="gzip")
        file.create_dataset("bytes", (2**15, 2**14), "u1", chunks=(64, 64))
        group = file.create_group("sparse")
        group.attrs["MATLAB_sparse"] = np.uint64(2**40)
        group["jc"] = np.zeros(3)
        file.create_dataset("texts", (3000,), h5py.string_dtype())[:] = "x" * 40
    for name in ("m", "bytes", "sparse"):
        with pytest.raises(InputError, match="set IBC_ARRAY_GB to more"):
            read(tmp_path / "f.h5", name)
    monkeypatch.setenv("IBC_ARRAY_GB", "0.0001")  # 100 kB
    few = MemoryLimit("f.h5", 0)
    with open_variables(tmp_path / "f.h5", few) as found, pytest.raises(InputError, match="of 100000 bytes in all"):
        found["texts"](True)
    monkeypatch.setenv("IBC_ARRAY_GB", "100")
    assert read(tmp_path / "f.h5", "bytes").sum() == 0


def test_chunks_take_no_more_memory_than_they_say(tmp_path, monkeypatch):
    monkeypatch.setenv("IBC_ARRAY_GB", "0.001")
    numbers = np.random.default_rng(0).integers(0, 100, (300, 100))
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("huge", (4, 3), "f8", maxshape=(None, None), chunks=(2**15, 2**14), compression="gzip")
        bomb = file.create_dataset("m", (100, 1), "u1", chunks=(100, 1), compression="gzip")
        bomb.id.write_direct_chunk((0, 0), zlib.compress(bytes(5_000_000)))
        file.create_dataset("large", data=numbers, chunks=(300, 100), compression="gzip", shuffle=True)
    for name, words in (("huge", "a chunk of 'huge' of 4.29 GB"), ("m", "compressed chunk of")):
        with pytest.raises(InputError, match=words):
            read(tmp_path / "f.h5", name)
    assert np.array_equal(read(tmp_path / "f.h5", "large"), numbers)


def test_damage_is_named(tmp_path):
    path = matlab(tmp_path / "f.mat", lambda file: put(file, "m", MATRIX, "double"))
    data = path.read_bytes()
    for end in (520, 700, len(data) - 100):
        path.write_bytes(data[:end])
        with pytest.raises(InputError, match="damaged"):
            read(path)
