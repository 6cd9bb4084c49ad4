"""Named arrays in one file: ``.npz``, or ``.mat`` that MATLAB and Octave read.

A name -> array mapping is written whole (aside, then renamed), and the wanted names are read back. A ``.mat`` file is
v5 where it fits (a variable below 2 GiB) and v7.3, an HDF5 file, where it does not. A list of strings is one of the
arrays: a text vector in ``.npz``, a cell array in v5, a padded character matrix in v7.3.
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ibc.errors import InputError, input_error
from ibc.files import atomic_write

MAT5_MAX_BYTES = 2**31 - 1  # a variable of a v5 .mat file cannot be larger
MAT73_HEADER = b"MATLAB 7.3 MAT-file, written by IBC".ljust(116) + bytes(8) + b"\x00\x02IM"
MATLAB_CLASSES = {"float32": "single", "float64": "double"}  # other types have the same name in both

Content = Mapping[str, "np.ndarray | list[str]"]


def read_arrays(path: Path, names: tuple[str, ...], text: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """The arrays called ``names`` that the file holds; ``text`` says which of them are strings.

    Nothing is unpickled, so that a file cannot run code. Strings come as a numpy array of any shape; ``strings`` makes
    a list of them. Raises InputError for another file ending and for a damaged file, OSError for a file that is not
    there.
    """
    reader = _by_ending(path, {".npz": _read_npz, ".mat": _read_mat})
    try:
        return reader(path, names, text)
    except (InputError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except Exception as error:  # a damaged file makes the readers fail in many ways
        raise input_error(path, f"an unreadable file ({type(error).__name__}: {error})",
                          f"a whole {path.suffix} file", "write it again") from None


def map_array(path: Path, name: str) -> np.ndarray | None:
    """The array of an uncompressed ``.npz`` as a read-only view of the file: its parts are read when they are used.

    None where that cannot be: another kind of file, a compressed one, a missing or damaged array; ``read_arrays`` then
    reads it or says what is wrong.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(f"{name}.npy")
        if entry.compress_type != zipfile.ZIP_STORED:
            return None
        with open(path, "rb") as handle:
            handle.seek(entry.header_offset + 26)  # of the entry's header: lengths of its name and its extra field
            name_bytes, extra_bytes = struct.unpack("<HH", handle.read(4))
            handle.seek(name_bytes + extra_bytes, os.SEEK_CUR)
            start = handle.tell()
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, by_columns, dtype = read_header[np.lib.format.read_magic(handle)](handle)
            begin = handle.tell()
        if dtype.hasobject or begin - start + math.prod(shape) * dtype.itemsize != entry.file_size:
            return None
        return np.memmap(path, dtype, "r", begin, shape, "F" if by_columns else "C")
    except (KeyError, ValueError, zipfile.BadZipFile, struct.error):
        return None


def write_arrays(path: Path, content: Content) -> None:
    """Write arrays, and lists of strings, as ``.npz`` or ``.mat``. Raises InputError for another file ending."""
    _by_ending(path, {".npz": _write_npz, ".mat": _write_mat})(path, content)


def strings(value: np.ndarray) -> list[str]:
    """The strings of an .npz vector, a .mat cell array or a .mat character matrix, without blanks at their ends."""
    items = []
    for item in np.asarray(value).reshape(-1):
        items.append(str(item.reshape(-1)[0]) if isinstance(item, np.ndarray) and item.size else
                     "" if isinstance(item, np.ndarray) else str(item).rstrip())
    return items


def _by_ending(path: Path, choices: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
    if path.suffix not in choices:
        raise input_error(path, f"the file ending '{path.suffix}'", ".npz or .mat")
    return choices[path.suffix]


def _read_npz(path: Path, names: tuple[str, ...], text: tuple[str, ...]) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in names if name in archive.files}


def _read_mat(path: Path, names: tuple[str, ...], text: tuple[str, ...]) -> dict[str, np.ndarray]:
    import scipy.io  # noqa: PLC0415 - a quarter of a second, which .npz files do not need

    try:
        with open(path, "rb") as handle:
            content = scipy.io.loadmat(handle, variable_names=list(names))
    except NotImplementedError:  # v7.3
        return _read_mat73(path, names, text)
    return {name: content[name] for name in names if name in content}


def _read_mat73(path: Path, names: tuple[str, ...], text: tuple[str, ...]) -> dict[str, np.ndarray]:
    h5py = _h5py(path)
    values = {}
    with h5py.File(path, "r") as file:
        for name in names:
            if name not in file:
                continue
            value = file[name][()]
            if value.dtype == h5py.ref_dtype:  # a cell array of strings
                values[name] = np.array(["".join(map(chr, file[ref][()].reshape(-1))) for ref in value.reshape(-1)])
            elif name in text:  # a character matrix, one padded row a string
                values[name] = np.array(["".join(map(chr, row)).rstrip() for row in value.T])
            else:
                values[name] = value.T  # MATLAB stores columns, HDF5 rows
    return values


def _write_npz(path: Path, content: Content) -> None:
    arrays = {name: np.array(value, np.str_) if isinstance(value, list) else value for name, value in content.items()}
    with atomic_write(path) as handle:
        np.savez(handle, **arrays)  # type: ignore[arg-type]


def _write_mat(path: Path, content: Content) -> None:
    largest = max(value.nbytes for value in content.values() if not isinstance(value, list))
    (_write_mat73 if largest > MAT5_MAX_BYTES else _write_mat5)(path, content)


def _write_mat5(path: Path, content: Content) -> None:
    import scipy.io  # noqa: PLC0415 - a quarter of a second, which .npz files do not need

    arrays = {name: _cells(value) if isinstance(value, list) else value for name, value in content.items()}
    with atomic_write(path) as handle:
        scipy.io.savemat(handle, arrays, do_compression=False)


def _cells(items: list[str]) -> np.ndarray:
    """(N, 1) cell array. A .mat file holds Unicode; bytes of a file name that are not UTF-8 become a mark."""
    cells = np.empty((len(items), 1), object)
    cells[:, 0] = [item.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for item in items]
    return cells


def _write_mat73(path: Path, content: Content) -> None:
    h5py = _h5py(path)
    with atomic_write(path) as handle:
        aside = handle.name
        with h5py.File(aside, "w", userblock_size=512) as file:
            for name, value in content.items():
                if isinstance(value, list):
                    dataset = file.create_dataset(name, data=_characters(value).T)
                    dataset.attrs["MATLAB_class"] = np.bytes_("char")
                    dataset.attrs["MATLAB_int_decode"] = np.int32(2)
                else:
                    matrix = np.atleast_2d(value)
                    kind = MATLAB_CLASSES.get(matrix.dtype.name, matrix.dtype.name)
                    file.create_dataset(name, data=matrix.T).attrs["MATLAB_class"] = np.bytes_(kind)
        with open(aside, "r+b") as raw:
            raw.write(MAT73_HEADER)


def _characters(items: list[str]) -> np.ndarray:
    """(N, longest) uint16 characters, padded with blanks."""
    width = max(map(len, items), default=1)
    rows = np.array([[ord(character) for character in item.ljust(width)] for item in items], np.uint16)
    return rows.reshape(len(items), width)


def _h5py(path: Path) -> Any:
    try:
        import h5py  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise input_error(path, "a MATLAB v7.3 file, and h5py is not installed", "h5py to read it",
                          "run: pip install h5py") from None
    return h5py
