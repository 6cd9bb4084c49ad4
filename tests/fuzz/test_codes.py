"""Codes files in every format, whatever is damaged in them; numbers of codes and labels of any type."""

import io
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ibc.array_files import read_arrays, strings
from ibc.arrays import npz
from ibc.code_layout import label_notes
from ibc.code_reading import recognise
from ibc.codes import CodeSet, as_signs, load_codes, load_raw
from ibc.datasets.building import matlab
from ibc.labels import Labels, as_labels
from ibc.retrieval.index import CodeIndex
from ibc.retrieval.overlap import find_overlap
from tests.fuzz.damage import damaged, odd_texts
from tests.fuzz.harness import each, fuzzed

RANDOM = np.random.default_rng(0)
NAMES = ["a.jpg", "b é.jpg", "", "images/c.jpg"]
CONTENT = {"binary_codes": RANDOM.random((4, 6)).astype(np.float32),
           "lab": np.array([[0, 1], [2, 0], [1, 2], [99999, 0]]), "GRM": RANDOM.random((3, 6)).astype(np.float32),
           "code_length": np.array(6)}


@pytest.fixture(autouse=True)
def little_memory(monkeypatch):
    monkeypatch.setenv("IBC_ARRAY_GB", "0.05")


def saved(write, *content, **more) -> bytes:
    buffer = io.BytesIO()
    write(buffer, *content, **more)
    return buffer.getvalue()


def cells(names):
    found = np.empty((len(names), 1), object)
    found[:, 0] = names
    return found


def hdf5(fill, header=0) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=header) as file:
        fill(file)
    if header:
        buffer.seek(0)
        buffer.write(b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM")
    return buffer.getvalue()


def plain(file):
    for name, value in CONTENT.items():
        file[name] = value
    file["paths"] = NAMES


def matlab73(file):
    for name, value in CONTENT.items():
        if name != "lab":
            file.create_dataset(name, data=np.atleast_2d(value).T, chunks=True, compression="gzip").attrs[
                "MATLAB_class"] = np.bytes_("double")
    sparse = scipy.sparse.csc_matrix(CONTENT["lab"])
    group = file.create_group("lab")
    group.attrs["MATLAB_sparse"] = np.uint64(4)
    group["data"], group["ir"], group["jc"] = sparse.data, sparse.indices, sparse.indptr
    for number, name in enumerate(NAMES):
        file[f"#refs#/{number}"] = np.frombuffer(name.encode("utf-16-le"), np.uint16)
    file.create_dataset("paths", data=[[file[f"#refs#/{number}"].ref for number in range(4)]], dtype=h5py.ref_dtype)


def octave(file):
    for name, value in CONTENT.items():
        group = file.create_group(name)
        group.attrs["OCTAVE_NEW_FORMAT"] = np.uint8(1)
        group["type"], group["value"] = np.bytes_("matrix"), np.atleast_2d(value).T


def octave_text() -> bytes:
    text = "# Created by Octave 8.4.0\n"
    for name, value in CONTENT.items():
        rows = np.atleast_2d(value)
        text += f"# name: {name}\n# type: matrix\n# rows: {len(rows)}\n# columns: {rows.shape[1]}\n"
        text += "".join(" " + " ".join(f"{number:.9g}" for number in row) + "\n" for row in rows) + "\n\n"
    text += "# name: paths\n# type: cell\n# rows: 2\n# columns: 1\n"
    text += "# name: <cell-element>\n# type: string\n# elements: 1\n# length: 1\na\n\n\n" * 2
    return (text + "\n# name: s\n# type: sparse matrix\n# nnz: 1\n# rows: 4\n# columns: 2\n1 1 5\n\n"
            "# name: i\n# type: int8 matrix\n# ndims: 2\n 2 1\n 3\n 4\n").encode()


MATLAB = {**CONTENT, "paths": cells(NAMES), "model": "abc"}
SPARSE = {**MATLAB, "lab": scipy.sparse.csc_matrix(CONTENT["lab"] * 1.0), "record": {"a": 1, "b": cells(["x"])}}
SEEDS = {
    "npz": [saved(np.savez, **CONTENT, paths=np.array(NAMES)),
            saved(np.savez_compressed, **CONTENT, paths=np.array(NAMES))],
    "mat5": [saved(scipy.io.savemat, MATLAB), saved(scipy.io.savemat, SPARSE), saved(scipy.io.savemat, SPARSE,
                                                                                  do_compression=True)],
    "mat4": [saved(scipy.io.savemat, {name: np.atleast_2d(value) for name, value in CONTENT.items()}, format="4")],
    "hdf5": [hdf5(plain), hdf5(matlab73), hdf5(matlab73, 512), hdf5(octave)],
    "octave": [octave_text()],
    "npy": [saved(np.save, CONTENT["binary_codes"]),
            saved(np.save, np.sign(CONTENT["binary_codes"] - 0.5).astype(np.int8)),
            saved(np.save, (CONTENT["binary_codes"] * 255).astype(np.uint8))],
}


def use(path: Path) -> None:
    """Read a codes file in every way, and look at all that it holds."""
    def whole() -> None:
        codes = load_codes(path, say=lambda note: None)
        assert codes.bits.shape == codes.binary_codes.shape == (len(codes), codes.code_length)
        assert codes.paths is None or len(codes.paths) == len(codes)
        label_notes(codes, False)
        each(lambda: codes.item_labels(False, path), lambda: codes.item_labels(True, path))
        find_overlap(codes, codes)

    def texts() -> None:
        for value in read_arrays(path, ("paths", "model"), ("paths", "model")).values():
            assert all(isinstance(text, str) for text in strings(value))

    each(whole, texts, lambda: load_codes(path, mapped=True, say=lambda note: None),
         lambda: load_codes(path, kind="packed", say=lambda note: None), lambda: CodeIndex.open(path))


@fuzzed(damaged(SEEDS["npz"], header=2048))
def test_codes_npz(data: bytes, folder: Path) -> None:
    (folder / "c.npz").write_bytes(data)
    use(folder / "c.npz")


@fuzzed(damaged(SEEDS["mat5"], header=2048))
def test_codes_mat5(data: bytes, folder: Path) -> None:
    (folder / "c.mat").write_bytes(data)
    use(folder / "c.mat")


@fuzzed(damaged(SEEDS["mat4"]))
def test_codes_mat4(data: bytes, folder: Path) -> None:
    (folder / "c.mat").write_bytes(data)
    use(folder / "c.mat")


@fuzzed(damaged(SEEDS["hdf5"], header=4096))
def test_codes_hdf5(data: bytes, folder: Path) -> None:
    (folder / "c.mat").write_bytes(data)
    use(folder / "c.mat")


@fuzzed(damaged(SEEDS["octave"], header=2048))
def test_codes_octave_text(data: bytes, folder: Path) -> None:
    (folder / "c.mat").write_bytes(data)
    use(folder / "c.mat")


@fuzzed(damaged(SEEDS["npy"]))
def test_codes_npy(data: bytes, folder: Path) -> None:
    (folder / "c.npy").write_bytes(data)
    each(lambda: CodeIndex.open(folder / "c.npy"), lambda: npz.read_npy(folder / "c.npy"))


@fuzzed(damaged(SEEDS["mat5"], header=2048))
def test_data_set_mat(data: bytes, folder: Path) -> None:
    found = matlab.load_mat(data, "meta.mat", ("binary_codes", "paths"))
    matlab.strings(found["paths"], "meta.mat")


@fuzzed(st.tuples(st.binary(max_size=200), st.binary(max_size=40), st.integers(1, 12), st.integers(1, 8)))
def test_codes_raw(value: tuple[bytes, bytes, int, int], folder: Path) -> None:
    codes, labels, rows, length = value
    (folder / "c").write_bytes(codes)
    (folder / "l").write_bytes(labels)
    load_raw(folder / "c", folder / "l", rows, length)


SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)
KINDS = st.one_of(arrays.boolean_dtypes(), arrays.integer_dtypes(endianness="="),
                  arrays.floating_dtypes(endianness="="), arrays.unsigned_integer_dtypes(endianness="="),
                  arrays.complex_number_dtypes(endianness="="),
                  arrays.unicode_string_dtypes(max_len=2))
ANY = KINDS.flatmap(lambda kind: arrays.arrays(kind, SHAPES))
MATRIX = st.one_of(arrays.boolean_dtypes(), arrays.integer_dtypes(endianness="="),
                   arrays.unsigned_integer_dtypes(endianness="="), arrays.floating_dtypes(endianness="=")).flatmap(
    lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=4)))


NOTHING = [(np.zeros((0, 3), np.uint8), np.zeros((0, 1)), None, None, []),
           (np.zeros((5, 2)), np.zeros((0, 5)), None, None, [])]


@fuzzed(st.tuples(ANY, ANY, ANY | st.none(), ANY | st.none(), st.lists(odd_texts(), max_size=4)), examples=NOTHING)
def test_codes_content(value: tuple, folder: Path) -> None:
    codes, labels, grm, length, paths = value
    optional = {name: item for name, item in (("GRM", grm), ("code_length", length)) if item is not None}
    texts = np.array([text.replace("\0", "")[:200] for text in paths], np.str_)
    np.savez(folder / "c.npz", binary_codes=codes, lab=labels, paths=texts, **optional)
    use(folder / "c.npz")


@fuzzed(st.tuples(MATRIX, st.integers(0, 40) | st.none()))
def test_code_values(value: tuple, folder: Path) -> None:
    numbers, length = value
    reading = recognise(numbers, None, length)
    codes = reading.convert(numbers)
    assert ((codes >= 0) & (codes <= 1)).all()
    if reading.kind in ("sign", "tanh", "logit"):
        assert np.array_equal(np.sign(codes - np.float32(0.5)), np.sign(numbers.astype(np.float64)))


@fuzzed(ANY)
def test_labels_and_signs(value: np.ndarray, folder: Path) -> None:
    def columns() -> None:
        if value.ndim == 2 and value.shape[1] and value.dtype.kind in "biuf":
            labels = Labels.from_columns(value.astype(np.float32), False)
            label_notes(CodeSet(np.zeros((len(value), 2), np.float32), value.astype(np.float32)), False)
            labels.class_sizes()

    each(lambda: as_labels(value), lambda: as_signs("query_bits", value), columns)
