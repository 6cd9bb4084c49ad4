"""Arrays in .npz files: their headers are checked before memory is taken, and nothing is unpickled."""

from __future__ import annotations

import io
import math
import os
import tokenize
import zipfile
import zlib
from typing import IO

import numpy as np

from ibc.arrays.limits import MemoryLimit
from ibc.errors import InputError, input_error
from ibc.files import open_regular

MAGIC = b"PK\x03\x04"
MOST_HEADER = 1 << 16
# Of zipfile and numpy on damaged files: numpy parses a header as a Python literal.
FAILURES = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, NotImplementedError, RuntimeError,
            SyntaxError, tokenize.TokenError, TypeError, OverflowError, MemoryError, KeyError)


def read_member(archive: zipfile.ZipFile, name: str, where: str | os.PathLike, limit: MemoryLimit) -> np.ndarray | None:
    """The array ``name``; None where there is none. Raises InputError for a damaged one, and for Python objects."""
    files = set(archive.namelist())
    member = next((member for member in (f"{name}.npy", name) if member in files), None)
    if member is None:
        return None
    try:
        with archive.open(member) as handle:
            shape, _, dtype, _ = read_header(handle)
            size = archive.getinfo(member).file_size
            if dtype.hasobject:
                raise input_error(where, f"an unreadable array '{name}' of Python objects", "numbers or texts",
                                  "store it as an array of numbers (texts: dtype str)")
            declared = math.prod(shape) * dtype.itemsize
            if not 0 <= declared < size:
                raise damaged(where, f"'{name}' of {declared} bytes in a part of {size}")
            limit.take_numbers(math.prod(shape), dtype.itemsize, f"'{name}'")
        with archive.open(member) as handle:
            return np.lib.format.read_array(handle, allow_pickle=False, max_header_size=MOST_HEADER)
    except InputError:
        raise
    except FAILURES as error:
        raise damaged(where, f"'{name}', {type(error).__name__}: {error}") from None


def read_npy(path: str | os.PathLike) -> np.ndarray:
    """The array of a ``.npy`` file. Raises InputError for a damaged one, and for Python objects."""
    with io.BufferedReader(open_regular(path)) as handle:
        size = os.fstat(handle.fileno()).st_size
        try:
            shape, _, dtype, header_bytes = read_header(handle)
            if dtype.hasobject or not 0 <= math.prod(shape) * dtype.itemsize <= size - header_bytes:
                raise damaged(path, f"numbers of shape {shape} and type {dtype} in {size} bytes", ".npy")
            handle.seek(0)
            return np.lib.format.read_array(handle, allow_pickle=False, max_header_size=MOST_HEADER)
        except InputError:
            raise
        except FAILURES as error:
            raise damaged(path, f"{type(error).__name__}: {error}", ".npy") from None


def read_header(handle: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, whether it is stored by columns, and dtype of the ``.npy`` that the handle stands before; bytes of its
    header. Raises what numpy does."""
    version = np.lib.format.read_magic(handle)
    limited = io.BytesIO(handle.read(MOST_HEADER))
    if version == (1, 0):
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(limited, max_header_size=MOST_HEADER)
    else:
        shape, by_columns, dtype = np.lib.format.read_array_header_2_0(limited, max_header_size=MOST_HEADER)
    return shape, by_columns, dtype, np.lib.format.MAGIC_LEN + limited.tell()


def damaged(where: str | os.PathLike, what: str, ending: str = ".npz") -> InputError:
    """The error for a damaged file, to be raised."""
    return input_error(where, f"an unreadable file ({what})", f"a whole {ending} file", "write it again")
