"""Named arrays in one file: ``.npz``, or ``.mat`` that MATLAB and Octave read.

A name -> array mapping is written whole (aside, then renamed), and the wanted names are read back. A ``.mat`` file is
v5 where it fits (a variable below 2 GiB) and v7.3, an HDF5 file, where it does not. A list of strings is one of the
arrays: a text vector in ``.npz``, a cell array in v5, a padded character matrix in v7.3. The other formats that MATLAB,
Octave and h5py write are read too; see ``ibc.arrays``.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
import os
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ibc.arrays import hdf5, mat4, mat5, npz, octave_text
from ibc.arrays.limits import MemoryLimit
from ibc.errors import InputError, input_error
from ibc.files import atomic_write, open_regular
from ibc.text_files import decode_text

MAT5_MAX_BYTES = 2**31 - 1  # a variable of a v5 .mat file cannot be larger
MAT5_HEADER = b"MATLAB 5.0 MAT-file, written by IBC".ljust(116)  # scipy's holds the time: equal runs write equal files
MAT73_HEADER = b"MATLAB 7.3 MAT-file, written by IBC".ljust(116) + bytes(8) + b"\x00\x02IM"
MATLAB_CLASSES = {"float32": "single", "float64": "double"}  # other types have the same name in both
READ_ENDINGS = (".npz", ".mat", ".h5", ".hdf5")

Content = Mapping[str, "np.ndarray | list[str]"]


def read_arrays(path: Path, names: tuple[str, ...], text: tuple[str, ...] = (), optional: tuple[str, ...] = (),
                say: Callable[[str], None] = lambda note: None) -> dict[str, np.ndarray]:
    """The arrays called ``names`` that the file holds; ``text`` says which of them are strings.

    The format is told from the first bytes. Nothing is unpickled, so that a file cannot run code; nothing but the file
    is read, and memory is limited (``ibc.arrays.limits``). Strings come as a numpy array of any shape; ``strings``
    makes a list of them. optional: names that are left out, with a note to ``say``, where they are of a kind that
    cannot be read. Raises InputError for another file ending and for a damaged file, OSError for a file that is not
    there.
    """
    if path.suffix.lower() not in READ_ENDINGS:
        raise input_error(path, f"the file ending '{path.suffix}'", ".npz or .mat")
    found: dict[str, np.ndarray] = {}
    with _members(path) as members:
        for name in names:
            try:
                if name in members:
                    found[name] = members[name](name in text)
            except InputError as error:
                if name not in optional:
                    raise
                say(f"{name} is left out: {error}")
    return found


def array_names(path: Path) -> list[str]:
    """The names of all arrays of a file. Raises InputError for a damaged one."""
    with _members(path) as members:
        return sorted(name for name in members if name and not name.startswith("#"))


@contextlib.contextmanager
def _members(path: Path) -> Iterator[Mapping[str, Callable[[bool], np.ndarray]]]:
    """Name -> function that reads the array, while the file is open; its argument says whether it holds texts."""
    with io.BufferedReader(open_regular(path)) as raw, contextlib.ExitStack() as stack:
        head, size = raw.read(1024), os.fstat(raw.fileno()).st_size
        raw.seek(0)
        limit = MemoryLimit(path, size)
        if head.startswith(npz.MAGIC) or path.suffix.lower() == ".npz":
            try:
                archive = stack.enter_context(zipfile.ZipFile(raw))
            except npz.FAILURES as error:
                raise npz.damaged(path, f"{type(error).__name__}: {error}") from None
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            yield {name: functools.partial(_read_npz, archive, name, path, limit) for name in names}
        elif hdf5.is_hdf5(head) or head[124:128] == MAT73_HEADER[-4:]:
            yield stack.enter_context(hdf5.open_variables(path, limit))
        elif octave_text.is_octave_text(head):
            limit.take(4 * size, "its text")  # Python holds a character in up to four bytes
            yield _without_kind(octave_text.variables(decode_text(raw.read(), path, keep_bytes=True), path, limit))
        elif head.startswith(octave_text.OTHER_FORMATS):
            raise input_error(path, "Octave's binary or compressed format", "a MATLAB v7 file",
                              "save it by: save -v7 FILE")
        elif mat5.is_mat5(head):
            yield _without_kind(mat5.variables(raw, size, path, limit))
        elif mat4.is_mat4(head, size):
            yield _without_kind(mat4.variables(raw, size, path, limit))
        else:
            raise input_error(path, f"an unreadable file that begins with {head[:8]!r}" if size else "an empty file",
                              f"a whole {path.suffix} file", "write it again")


def _read_npz(archive: zipfile.ZipFile, name: str, path: Path, limit: MemoryLimit, is_text: bool) -> np.ndarray:
    array = npz.read_member(archive, name, path, limit)
    assert array is not None  # the name is in the archive
    return array


def _without_kind(readers: Mapping[str, Callable[[], np.ndarray]]) -> dict[str, Callable[[bool], np.ndarray]]:
    """The readers of a format that says itself what is text."""
    return {name: lambda is_text, read=read: read() for name, read in readers.items()}  # type: ignore[misc]


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
            shape, by_columns, dtype, header_bytes = npz.read_header(handle)
            begin = start + header_bytes
        if dtype.hasobject or begin - start + math.prod(shape) * dtype.itemsize != entry.file_size:
            return None
        return np.memmap(path, dtype, "r", begin, shape, "F" if by_columns else "C")
    except (*npz.FAILURES, struct.error):
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
        handle.seek(0)
        handle.write(MAT5_HEADER)


def _cells(items: list[str]) -> np.ndarray:
    """(N, 1) cell array. A .mat file holds Unicode; bytes of a file name that are not UTF-8 become a mark."""
    cells = np.empty((len(items), 1), object)
    cells[:, 0] = [item.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for item in items]
    return cells


def _write_mat73(path: Path, content: Content) -> None:
    h5py = hdf5.load_h5py(path)
    with atomic_write(path) as handle:
        aside = handle.name
        with h5py.File(aside, "w", userblock_size=512, locking=False) as file:
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
    """(N, longest) uint16 characters, padded with blanks; bytes of a file name that are not UTF-8 stay as they are."""
    rows = [np.frombuffer(item.encode("utf-16-le", "surrogatepass"), "<u2") for item in items]
    found = np.full((len(items), max(map(len, rows), default=1)), ord(" "), np.uint16)
    for number, row in enumerate(rows):
        found[number, : len(row)] = row
    return found
