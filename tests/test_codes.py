"""Code files: what is written is read back, and what is broken is named."""

import io

import h5py
import numpy as np
import pytest
import scipy.io

from ibc import array_files
from ibc.codes import CodeSet, binarise, load_codes, load_raw, pack_bits, save_codes
from ibc.errors import InputError


@pytest.fixture
def codes():
    random = np.random.default_rng(0)
    return CodeSet(random.random((7, 70), np.float32), random.integers(0, 5, (7, 3)).astype(np.float32),
                   random.random((4, 70), np.float32), [f"a b/ü{i}.jpg" for i in range(7)])


def assert_same(left, right):
    for name in ("binary_codes", "labels", "grm"):
        assert np.array_equal(getattr(left, name), getattr(right, name))
        assert getattr(right, name).dtype == np.float32
    assert left.paths == right.paths


@pytest.mark.parametrize("ending", [".npz", ".mat"])
def test_round_trip(tmp_path, codes, ending):
    save_codes(tmp_path / f"c{ending}", codes)
    assert_same(codes, load_codes(tmp_path / f"c{ending}"))


@pytest.mark.parametrize("ending", [".npz", ".mat"])
def test_mapped_codes_are_the_same(tmp_path, codes, ending):
    save_codes(tmp_path / f"c{ending}", codes)
    mapped = load_codes(tmp_path / f"c{ending}", mapped=True)
    assert_same(codes, mapped)
    assert isinstance(mapped.binary_codes.base, np.memmap) == (ending == ".npz")


def test_compressed_or_damaged_codes_are_not_mapped(tmp_path, codes):
    np.savez_compressed(tmp_path / "c.npz", binary_codes=codes.binary_codes, lab=codes.labels)
    assert np.array_equal(load_codes(tmp_path / "c.npz", mapped=True).binary_codes, codes.binary_codes)
    save_codes(tmp_path / "d.npz", codes)
    content = (tmp_path / "d.npz").read_bytes()
    (tmp_path / "d.npz").write_bytes(content[:-300])
    with pytest.raises(InputError, match="an unreadable file"):
        load_codes(tmp_path / "d.npz", mapped=True)
    with pytest.raises(FileNotFoundError):
        load_codes(tmp_path / "none.npz", mapped=True)


def test_round_trip_v73(tmp_path, codes, monkeypatch):
    monkeypatch.setattr(array_files, "MAT5_MAX_BYTES", 100)
    save_codes(tmp_path / "c.mat", codes)
    with pytest.raises(NotImplementedError):  # scipy recognises it as v7.3
        scipy.io.loadmat(tmp_path / "c.mat")
    assert_same(codes, load_codes(tmp_path / "c.mat"))


def test_official_keys_and_types(tmp_path, codes):
    save_codes(tmp_path / "c.mat", codes)
    content = scipy.io.loadmat(tmp_path / "c.mat")
    assert content["code_length"].shape == (1, 1) and content["code_length"].item() == 70
    assert content["binary_codes"].dtype == content["lab"].dtype == content["GRM"].dtype == np.float32


def test_binarise_gives_zero_at_one_half():
    assert binarise(np.array([[0.5, np.nextafter(0.5, 1), np.nextafter(0.5, 0)]])).tolist() == [[0, 1, -1]]


@pytest.mark.parametrize("length", [1, 13, 64, 65, 256])
@pytest.mark.parametrize("zeros", [False, True])
def test_packed_inner_product(length, zeros):
    random = np.random.default_rng(length)
    bits = random.choice([-1, 0, 1] if zeros else [-1, 1], (20, length)).astype(np.int8)
    positive, nonzero = pack_bits(bits)
    assert (nonzero is None) == bool(np.all(bits))
    planes = np.full_like(positive, np.iinfo(np.uint64).max) if nonzero is None else nonzero
    both = planes[:, None] & planes[None]
    different = (positive[:, None] ^ positive[None]) & both
    inner = np.bitwise_count(both).sum(-1).astype(int) - 2 * np.bitwise_count(different).sum(-1).astype(int)
    unused = 0 if nonzero is not None else 64 * positive.shape[1] - length
    assert np.array_equal(inner - unused, bits.astype(int) @ bits.T.astype(int))


def test_raw_files(tmp_path, codes):
    codes.binary_codes.tofile(tmp_path / "c")
    codes.labels[:, 0].copy().tofile(tmp_path / "l")
    read = load_raw(tmp_path / "c", tmp_path / "l", 7, 70)
    assert np.array_equal(read.binary_codes, codes.binary_codes) and np.array_equal(read.labels, codes.labels[:, :1])
    with pytest.raises(InputError, match="at least 2240"):
        load_raw(tmp_path / "c", tmp_path / "l", 8, 70)


@pytest.mark.parametrize("change, message", [
    ({"lab": None}, r"no array 'lab' \(it holds GRM, binary_codes\)"),
    ({"lab": np.zeros((6, 1))}, "6 rows in lab"),
    ({"GRM": np.zeros((4, 69))}, "69 columns"),
    ({"binary_codes": np.full((7, 70), np.nan)}, "not a finite number in row 1"),
    ({"binary_codes": np.array(["x"] * 7)}, "numbers"),
    ({"code_length": 71}, "code_length 71"),
])
def test_broken_content_is_named(tmp_path, codes, change, message):
    arrays = {"binary_codes": codes.binary_codes, "lab": codes.labels, "GRM": codes.grm, **change}
    arrays = {key: value for key, value in arrays.items() if value is not None}
    np.savez(tmp_path / "c.npz", **arrays)
    with pytest.raises(InputError, match=message):
        load_codes(tmp_path / "c.npz")


@pytest.mark.parametrize("name", ["c.npz", "c.mat"])
def test_torn_and_foreign_files(tmp_path, codes, name):
    save_codes(tmp_path / name, codes)
    whole = (tmp_path / name).read_bytes()
    for torn in (b"", b"hello", whole[:100], whole[: len(whole) // 2], io.BytesIO(b"\0" * 500).getvalue()):
        (tmp_path / name).write_bytes(torn)
        with pytest.raises(InputError):
            load_codes(tmp_path / name)


def test_pickles_are_refused(tmp_path, codes):
    np.savez(tmp_path / "c.npz", binary_codes=np.array([object()]), lab=codes.labels)
    with pytest.raises(InputError, match="unreadable"):
        load_codes(tmp_path / "c.npz")


def in_every_format(folder, arrays):
    """Codes files of the same content as programs write them."""
    np.savez(folder / "numpy.npz", **arrays)
    np.savez_compressed(folder / "small.npz", **arrays)
    scipy.io.savemat(folder / "v4.mat", {name: np.atleast_2d(value) for name, value in arrays.items()}, format="4")
    scipy.io.savemat(folder / "v7.mat", arrays, do_compression=True)
    with h5py.File(folder / "plain.h5", "w") as file:
        for name, value in arrays.items():
            file[name] = value
    with h5py.File(folder / "v73.mat", "w") as file:
        for name, value in arrays.items():
            file.create_dataset(name, data=np.atleast_2d(value).T).attrs["MATLAB_class"] = np.bytes_("double")
    with open(folder / "octave.mat", "w") as file:
        for name, value in arrays.items():
            rows, columns = value.shape
            file.write(f"# name: {name}\n# type: matrix\n# rows: {rows}\n# columns: {columns}\n")
            np.savetxt(file, value, fmt="%.17g")
            file.write("\n\n")


def test_every_format_gives_the_same_codes(tmp_path):
    random = np.random.default_rng(3)
    arrays = {"binary_codes": random.random((9, 12)), "lab": random.integers(0, 4, (9, 1)) * 1.0,
              "GRM": random.random((4, 12)), "code_length": np.array([[12.0]])}
    in_every_format(tmp_path, arrays)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 7
    for name in names:
        codes = load_codes(tmp_path / name)
        assert np.array_equal(codes.binary_codes, arrays["binary_codes"].astype(np.float32)), name
        assert codes.categories.tolist() == arrays["lab"][:, 0].tolist(), name
        assert codes.binary_codes.flags.writeable and codes.labels.flags.writeable and codes.grm.flags.writeable, name
        assert np.array_equal(codes.grm, arrays["GRM"].astype(np.float32)), name


@pytest.mark.parametrize("extra", [
    {"paths": np.array([1, 2, 3])}, {"paths": np.array(["a", "b"])}, {"code_length": np.array("long")},
    {"code_length": np.array([])}, {"model": np.array([1.5, 2])}, {"paths": np.array([])}, {"GRM": np.zeros((0, 0))},
    {"model": np.array([None], object)}, {"paths": np.array([["a"], ["b"], ["c"]]), "model": np.array([])},
])
def test_optional_fields_never_block(tmp_path, extra):
    np.savez(tmp_path / "c.npz", binary_codes=np.eye(3), lab=np.arange(3), **extra)
    codes = load_codes(tmp_path / "c.npz", say=lambda note: None)
    assert len(codes) == 3 and codes.grm is None


def test_labels_in_a_cell_array(tmp_path):
    cells = np.empty((3, 1), object)
    cells[:, 0] = [np.array([[2.0]]), np.array([[0.0]]), np.array([[1]], np.uint8)]
    scipy.io.savemat(tmp_path / "v5.mat", {"binary_codes": np.eye(3), "lab": cells})
    with h5py.File(tmp_path / "v73.mat", "w") as file:
        file.create_dataset("binary_codes", data=np.eye(3)).attrs["MATLAB_class"] = np.bytes_("double")
        for number, value in enumerate((2.0, 0.0, 1.0)):
            file.create_dataset(f"#refs#/{number}", data=[[value]]).attrs["MATLAB_class"] = np.bytes_("double")
        refs = [file[f"#refs#/{number}"].ref for number in range(3)]
        file.create_dataset("lab", data=[refs], dtype=h5py.ref_dtype).attrs["MATLAB_class"] = np.bytes_("cell")
    for name in ("v5.mat", "v73.mat"):
        assert load_codes(tmp_path / name).categories.tolist() == [2, 0, 1], name
    cells[1, 0] = np.array(["sea"])
    scipy.io.savemat(tmp_path / "v5.mat", {"binary_codes": np.eye(3), "lab": cells})
    with pytest.raises(InputError, match="'lab' of type object, expected numbers"):
        load_codes(tmp_path / "v5.mat")


def test_codes_that_are_too_long_are_refused(tmp_path):
    np.savez(tmp_path / "c.npz", binary_codes=np.zeros((2, 40_000), np.uint8), lab=[0, 1])
    with pytest.raises(InputError, match="codes of 40000 columns, expected 32767 bits at most"):
        load_codes(tmp_path / "c.npz")
    np.savez(tmp_path / "c.npz", binary_codes=np.zeros((2, 4)), lab=[0, 1e30])
    with pytest.raises(InputError, match="the category 1e"):
        load_codes(tmp_path / "c.npz").item_labels(False)
