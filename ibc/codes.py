"""Code files: what extraction writes and every evaluation reads.

A ``CodeSet`` holds the sigmoid codes of N images, their labels and the gated rule matrix (GRM).
It is stored as ``.npz`` or ``.mat`` (v5, or v7.3 where v5 is too small) under the official keys
``binary_codes``, ``lab``, ``code_length``, ``GRM``, and, added here, ``paths``. Bits are cut from
the codes with ``binarise`` and packed 64 to a word with ``pack_bits``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ibc.errors import InputError, input_error
from ibc.files import atomic_write
from ibc.labels import NEGATIVE, Labels

MAT5_MAX_BYTES = 2**31 - 1  # a variable in a v5 .mat file cannot be larger


@dataclass
class CodeSet:
    """Codes of N images, with labels and the model's rule matrix.

    binary_codes: (N, K) float32, sigmoid outputs in [0, 1] (the official name; not yet cut to bits).
    labels: (N, L) float32; column 0 is the category id (99999: none), others are attributes.
    grm: (C, K) float32 in [0, 1], or None where the file has none.
    paths: N image paths as in the list file, or None.
    """

    binary_codes: np.ndarray
    labels: np.ndarray
    grm: np.ndarray | None = None
    paths: list[str] | None = None

    def __len__(self) -> int:
        return len(self.binary_codes)

    @property
    def code_length(self) -> int:
        return self.binary_codes.shape[1]

    @property
    def bits(self) -> np.ndarray:
        """(N, K) int8 in {-1, 0, +1}: sign(code - 0.5)."""
        return binarise(self.binary_codes)

    @property
    def categories(self) -> np.ndarray:
        """(N,) int64, label column 0."""
        return self.labels[:, 0].astype(np.int64)

    def item_labels(self, multi_label: bool, path: str | os.PathLike | None = None) -> Labels:
        """The categories, or, with ``multi_label``, the label sets. Raises InputError, naming ``path``; see Labels."""
        return Labels.from_columns(self.labels, multi_label, None if self.grm is None else len(self.grm), path)

    @property
    def looks_multi_label(self) -> bool:
        """Whether ``labels`` may well be one 0/1 column for each class: as many columns as the GRM has rows."""
        return (self.grm is not None and self.labels.shape[1] == len(self.grm) > 2 and len(self) > 0
                and bool(np.isin(self.labels, (NEGATIVE, 0, 1)).all()))


def binarise(codes: np.ndarray) -> np.ndarray:
    """sign(codes - 0.5) as int8: +1 above 0.5, -1 below, 0 at exactly 0.5 (official rule)."""
    codes = np.asarray(codes)
    return (codes > 0.5).astype(np.int8) - (codes < 0.5).astype(np.int8)


def pack_bits(bits: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Pack (N, K) signs into 64-bit words, bit k of a row in word k // 64 at position k % 64.

    Returns (positive, nonzero), both (N, ceil(K / 64)) uint64; ``nonzero`` is None when no sign is
    0. The inner product of two rows over m = nonzero_a & nonzero_b is
    popcount(m) - 2 popcount((positive_a ^ positive_b) & m).
    """
    bits = np.asarray(bits)
    positive = _pack(bits > 0)
    nonzero = None if np.all(bits != 0) else _pack(bits != 0)
    return positive, nonzero


def _pack(flags: np.ndarray) -> np.ndarray:
    rows, length = flags.shape
    words = max(1, -(-length // 64))
    packed = np.zeros((rows, words * 8), np.uint8)
    packed[:, : -(-length // 8)] = np.packbits(flags, axis=1, bitorder="little")
    return packed.view("<u8").astype(np.uint64, copy=False)


def load_codes(path: str | os.PathLike, label_path: str | os.PathLike | None = None) -> CodeSet:
    """Read a codes file (``.npz`` or ``.mat``, v5 or v7.3), of this project or the official one.

    ``label_path`` names another such file to take ``lab`` from.
    Raises InputError where the file is unreadable, lacks ``binary_codes`` or ``lab``, has shapes
    that disagree, or holds codes or rules that are not finite.
    """
    path = Path(path)
    label_path = path if label_path is None else Path(label_path)
    values = dict(_read_arrays(path, ("binary_codes", "lab", "GRM", "code_length", "paths")))
    if label_path != path:
        values.pop("lab", None)
        values.update(_read_arrays(label_path, ("lab",)))
    for key, source in (("binary_codes", path), ("lab", label_path)):
        if key not in values:
            raise input_error(source, f"no array '{key}'", "the keys binary_codes and lab",
                              "write it with fea_extraction.py")
    codes = _matrix(path, "binary_codes", values["binary_codes"])
    labels = _matrix(label_path, "lab", values["lab"])
    if labels.shape[0] == 1 and codes.shape[0] != 1 and labels.shape[1] == codes.shape[0]:
        labels = labels.T  # a plain vector: MATLAB and scipy store it as one row
    if len(labels) != len(codes):
        raise input_error(label_path, f"{len(labels)} rows in lab", f"{len(codes)}, one for each row of binary_codes")
    if not np.isfinite(codes).all():
        row = int(np.flatnonzero(~np.isfinite(codes).all(axis=1))[0])
        raise input_error(path, f"a code that is not a finite number in row {row + 1} of binary_codes",
                          "numbers in [0, 1]", "extract the codes again")
    grm = None
    if "GRM" in values:
        grm = _matrix(path, "GRM", values["GRM"])
        if grm.shape[1] != codes.shape[1]:
            raise input_error(path, f"a GRM with {grm.shape[1]} columns", f"{codes.shape[1]}, the code length")
        if not np.isfinite(grm).all():
            raise input_error(path, "a GRM with entries that are not finite", "numbers from 0 to 1")
    if "code_length" in values:
        try:
            stated = int(np.asarray(values["code_length"]).reshape(-1)[0])
        except (ValueError, TypeError, IndexError):
            raise input_error(path, "a code_length that is not a number", f"{codes.shape[1]}") from None
        if stated != codes.shape[1]:
            raise input_error(path, f"code_length {stated}", f"{codes.shape[1]}, the columns of binary_codes")
    paths = _path_list(values["paths"]) if "paths" in values else None
    if paths is not None and len(paths) != len(codes):
        raise input_error(path, f"{len(paths)} paths", f"{len(codes)}, one for each row of binary_codes")
    return CodeSet(codes, labels, grm, paths)


def save_codes(path: str | os.PathLike, codes: CodeSet) -> None:
    """Write ``codes`` as ``.npz`` or ``.mat`` by the name's ending, aside and then renamed."""
    path = Path(path)
    arrays: dict[str, Any] = {
        "binary_codes": np.asarray(codes.binary_codes, np.float32),
        "lab": np.asarray(codes.labels, np.float32),
        "code_length": np.int64(codes.code_length),
    }
    if codes.grm is not None:
        arrays["GRM"] = np.asarray(codes.grm, np.float32)
    if path.suffix == ".npz":
        if codes.paths is not None:
            arrays["paths"] = np.array(codes.paths, dtype=np.str_)
        with atomic_write(path) as handle:
            np.savez(handle, **arrays)
    elif path.suffix == ".mat":
        if max(value.nbytes for value in arrays.values()) > MAT5_MAX_BYTES:
            _write_mat73(path, arrays, codes.paths)
        else:
            _write_mat5(path, arrays, codes.paths)
    else:
        raise input_error(path, f"the file ending '{path.suffix}'", ".npz or .mat")


def load_raw(code_path: str | os.PathLike, label_path: str | os.PathLike, rows: int, length: int) -> CodeSet:
    """Read native float32 files: ``rows`` x ``length`` codes row by row, and ``rows`` labels."""
    codes = _read_floats(code_path, rows * length, f"{rows} x {length}").reshape(rows, length)
    labels = _read_floats(label_path, rows, f"{rows}").reshape(rows, 1)
    return CodeSet(codes, labels)


def _read_floats(path: str | os.PathLike, count: int, shape: str) -> np.ndarray:
    size = os.path.getsize(path)
    if size < 4 * count:
        raise input_error(path, f"{size} bytes", f"at least {4 * count}, that is {shape} float32 numbers",
                          "check --sample_num and --fea_dim, or give --is_mat_file for a .mat file")
    return np.fromfile(path, np.float32, count)


def _matrix(path: Path, key: str, value: np.ndarray) -> np.ndarray:
    value = np.asarray(value)
    if value.dtype.kind not in "buif":
        raise input_error(path, f"'{key}' of type {value.dtype}", "numbers")
    if value.ndim == 1:
        value = value[:, None]
    if value.ndim != 2 or value.shape[1] == 0:
        raise input_error(path, f"'{key}' of shape {value.shape}", "a matrix, one row an image")
    return np.ascontiguousarray(value, dtype=np.float32)


def _read_arrays(path: Path, keys: tuple[str, ...]) -> Mapping[str, np.ndarray]:
    """The arrays named ``keys`` that the file holds; nothing that needs unpickling is read."""
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {key: archive[key] for key in keys if key in archive.files}
        if path.suffix == ".mat":
            return _read_mat(path, keys)
    except OSError as error:
        if isinstance(error, (FileNotFoundError, PermissionError, IsADirectoryError)):
            raise
        raise _unreadable(path, error) from None
    except Exception as error:  # of a damaged file, the readers stumble over anything
        raise _unreadable(path, error) from None
    raise input_error(path, f"the file ending '{path.suffix}'", ".npz or .mat")


def _unreadable(path: Path, error: Exception) -> InputError:
    return input_error(path, f"an unreadable file ({type(error).__name__}: {error})",
                       f"a whole {path.suffix} file", "write it again")


def _read_mat(path: Path, keys: tuple[str, ...]) -> Mapping[str, np.ndarray]:
    import scipy.io

    try:
        with open(path, "rb") as handle:
            content = scipy.io.loadmat(handle, variable_names=list(keys))
    except NotImplementedError:  # v7.3, an HDF5 file
        return _read_mat73(path, keys)
    return {key: content[key] for key in keys if key in content}


def _read_mat73(path: Path, keys: tuple[str, ...]) -> Mapping[str, np.ndarray]:
    h5py = _h5py(path)
    values = {}
    with h5py.File(path, "r") as file:
        for key in keys:
            if key not in file:
                continue
            value = file[key][()]
            if value.dtype == h5py.ref_dtype:  # a cell array of strings
                values[key] = np.array(["".join(map(chr, file[ref][()].reshape(-1))) for ref in value.reshape(-1)])
            elif key == "paths":  # a character matrix, one row a path padded with blanks
                values[key] = np.array(["".join(map(chr, row)).rstrip() for row in value.T])
            else:
                values[key] = value.T  # HDF5 holds MATLAB's column order as rows
    return values


def _write_mat5(path: Path, arrays: dict[str, Any], paths: list[str] | None) -> None:
    import scipy.io

    if paths is not None:
        cells = np.empty((len(paths), 1), object)
        # Names that are no UTF-8 have no place in a .mat file.
        cells[:, 0] = [path.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for path in paths]
        arrays = {**arrays, "paths": cells}
    with atomic_write(path) as handle:
        scipy.io.savemat(handle, arrays, do_compression=False)


def _write_mat73(path: Path, arrays: dict[str, Any], paths: list[str] | None) -> None:
    h5py = _h5py(path)
    header = b"MATLAB 7.3 MAT-file, written by IBC".ljust(116) + bytes(8) + b"\x00\x02IM"
    with atomic_write(path) as handle:
        aside = handle.name
        with h5py.File(aside, "w", userblock_size=512) as file:
            for key, value in arrays.items():
                value = np.atleast_2d(value)
                kind = {"float32": "single", "float64": "double"}.get(value.dtype.name, value.dtype.name)
                file.create_dataset(key, data=value.T).attrs["MATLAB_class"] = np.bytes_(kind)
            if paths is not None:
                width = max(map(len, paths), default=1)
                rows = np.array([[ord(c) for c in item.ljust(width)] for item in paths], np.uint16)
                dataset = file.create_dataset("paths", data=rows.reshape(len(paths), width).T)
                dataset.attrs["MATLAB_class"] = np.bytes_("char")
                dataset.attrs["MATLAB_int_decode"] = np.int32(2)
        with open(aside, "r+b") as raw:
            raw.write(header)


def _h5py(path: Path):
    try:
        import h5py
    except ImportError:
        raise input_error(path, "a MATLAB v7.3 file, and h5py is not installed", "h5py to read it",
                          "run: pip install h5py") from None
    return h5py


def _path_list(value: np.ndarray) -> list[str]:
    """Strings of an .npz vector, a .mat cell array or a .mat character matrix."""
    items = []
    for item in np.asarray(value).reshape(-1):
        items.append(str(item.reshape(-1)[0]) if isinstance(item, np.ndarray) and item.size else
                     "" if isinstance(item, np.ndarray) else str(item).rstrip())
    return items
