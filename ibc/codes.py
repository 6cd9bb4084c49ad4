"""Codes of images: what extraction writes and every evaluation reads.

A ``CodeSet`` holds the sigmoid codes of N images, their labels and the gated rule matrix (GRM). It is stored as
``.npz`` or ``.mat`` under the official keys ``binary_codes``, ``lab``, ``code_length``, ``GRM``, and, added here,
``paths`` and ``model``. ``binarise`` makes signs of the codes, ``pack_bits`` packs 64 of them into a word.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ibc.array_files import array_names, map_array, read_arrays, strings, write_arrays
from ibc.code_layout import upright, upright_grm
from ibc.code_reading import in_unit, recognise
from ibc.errors import input_error
from ibc.labels import NEGATIVE, Labels, as_array

MOST_BITS = 2**15 - 1  # of a code: distances, in half steps, are stored in 16 bits


@dataclass
class CodeSet:
    """Codes of N images, with their labels and the rule matrix of the model.

    binary_codes: (N, K) float32, sigmoid values in [0, 1] (the official name; they are not yet bits). Codes of other
      kinds have become such values.
    labels: (N, L) float32; column 0 is the category id (99999: none), the others are attributes. Or one 0/1 column for
      each class, where an image has a set of labels.
    grm: (C, K) float32 in [0, 1], or None where the file has none.
    paths: N image paths as in the list file, or None.
    model: fingerprint of the network that made the codes, or None; a dissection of it has the same.
    kind: of the numbers in the file, one of ``ibc.code_kinds.KINDS``.
    """

    binary_codes: np.ndarray
    labels: np.ndarray
    grm: np.ndarray | None = None
    paths: list[str] | None = None
    model: str | None = None
    kind: str = "sigmoid"

    def __len__(self) -> int:
        """Number of images."""
        return len(self.binary_codes)

    @property
    def code_length(self) -> int:
        """K, the number of bits."""
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
        """The categories, or with ``multi_label`` the label sets; see ``Labels.from_columns``."""
        return Labels.from_columns(self.labels, multi_label, None if self.grm is None else len(self.grm), path)

    @property
    def looks_multi_label(self) -> bool:
        """Whether ``labels`` may well be one 0/1 column for each class: as many columns as the GRM has rows."""
        return (self.grm is not None and self.labels.shape[1] == len(self.grm) > 2 and len(self) > 0
                and bool(np.isin(self.labels, (NEGATIVE, 0, 1)).all()))


def binarise(codes: np.ndarray) -> np.ndarray:
    """sign(codes - 0.5) as int8: +1 above 0.5, -1 below, 0 at exactly 0.5 (official rule).

    codes: sigmoid values of any shape, or 0 and 1. Raises InputError for numbers outside [0, 1].
    """
    codes = np.asarray(codes)
    if codes.size and not in_unit(float(codes.min()), float(codes.max())) and not np.isnan(codes).any():
        raise input_error(None, f"codes from {codes.min():g} to {codes.max():g}", "sigmoid values in [0, 1]",
                          "convert them with ibc.code_reading.recognise(codes, None).convert(codes)")
    return (codes > 0.5).astype(np.int8) - (codes < 0.5).astype(np.int8)


def as_signs(name: str, bits: Any) -> np.ndarray:
    """(N, K) int8 signs from signs (-1, 0, +1) of any type, or from bool or unsigned bits (0 means -1).

    bits: an array, a list or a tensor. ``name`` is for error messages. Raises InputError for other shapes and values,
    such as sigmoid codes.
    """
    bits = as_array(bits)
    if bits.ndim != 2:
        raise input_error(None, f"{name} of shape {bits.shape}", "a matrix, one row an image")
    if bits.dtype.kind in "bu":
        if bits.dtype.kind == "u" and bits.size and bits.max() > 1:
            raise input_error(None, f"a value {bits.max()} in {name}", "bits 0 and 1, or signs -1, 0 and +1")
        return (2 * bits.astype(np.int8) - 1).astype(np.int8)
    if bits.dtype.kind not in "if":
        raise input_error(None, f"{name} of type {bits.dtype}", "signs -1, 0 and +1, or bool")
    signs = bits if bits.dtype == np.int8 else np.nan_to_num(np.clip(bits, -2, 2), nan=2).astype(np.int8)
    low = signs.min() if signs.size else 1
    if signs.size and (low < -1 or signs.max() > 1 or (signs is not bits and not np.array_equal(signs, bits))):
        bad = bits[(signs != bits) | (signs < -1) | (signs > 1)][0]
        raise input_error(None, f"the value {bad} in {name}", "signs -1, 0 and +1, or bool",
                          "cut sigmoid codes with ibc.codes.binarise")
    if low == 0 and len(signs) > 1 and name != "query_bits":  # a query may well have no -1 on the bits that count
        warnings.warn(f"{name} hold 0 and 1 and no -1: 0 is an undecided bit; give bool where it means -1",
                      stacklevel=3)
    return signs


def pack_bits(bits: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Pack (N, K) signs into 64-bit words: bit k of a row stands in word k // 64 at position k % 64.

    Returns (positive, nonzero), both (N, ceil(K / 64)) uint64: where a sign is +1, and where it is not 0. ``nonzero``
    is None when no sign is 0. The inner product of two rows over m = nonzero_a & nonzero_b is
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


def load_codes(path: str | os.PathLike, label_path: str | os.PathLike | None = None, *, mapped: bool = False,
               kind: str | None = None, say: Callable[[str], None] | None = None) -> CodeSet:
    """Read a codes file (``.npz`` or ``.mat``), of this project, of the official one or of another program.

    ``label_path`` names another such file to take ``lab`` from. ``mapped``: the codes of an uncompressed ``.npz`` are a
    read-only view of the file, for codes that do not fit into memory (its check sum is then not looked at); other
    files, and codes that are no sigmoid values, are read as always. kind: what the numbers are, one of
    ``ibc.code_kinds.KINDS``; None: told from their range. say: takes a note on what was read otherwise than it stands
    in the file (default: a Python warning).

    Raises InputError where the file is unreadable, lacks ``binary_codes`` or ``lab``, has shapes that disagree, holds
    codes or rules that are not finite, or codes that may be of several kinds.
    """
    path = Path(path)
    label_path = path if label_path is None else Path(label_path)
    view = map_array(path, "binary_codes") if mapped else None
    names = ("lab", "GRM", "code_length", "paths", "model") + (() if view is not None else ("binary_codes",))
    notes: list[str] = []
    values = read_arrays(path, names, ("paths", "model"), ("paths", "model", "code_length"), notes.append)
    if view is not None:
        values["binary_codes"] = view
    if label_path != path:
        values.pop("lab", None)
        values.update(read_arrays(label_path, ("lab",)))
    for key, source in (("binary_codes", path), ("lab", label_path)):
        if key not in values:
            raise input_error(source, f"no array '{key}'{_held(source)}", "the keys binary_codes and lab",
                              "write it with fea_extraction.py, or give the arrays these names")
    grm = _matrix(path, "GRM", values["GRM"]) if "GRM" in values and np.size(values["GRM"]) else None
    stated = _stated_length(values.get("code_length"))
    numbers, labels, turned = upright(_matrix(path, "binary_codes", values["binary_codes"]),
                                      _matrix(label_path, "lab", values["lab"]), grm, stated, path, label_path)
    notes += turned
    length = stated
    if length is None and grm is not None:
        length = numbers.shape[1] if numbers.shape[1] in grm.shape else grm.shape[1]
    if numbers.shape[1] > MOST_BITS:
        raise input_error(path, f"codes of {numbers.shape[1]} columns", f"{MOST_BITS} bits at most",
                          "binary_codes has one row an image")
    reading = recognise(numbers, path, length, kind)
    codes = reading.convert(numbers)
    if view is None and not codes.flags.writeable:  # a view of the bytes that were read
        codes = codes.copy()
    notes += [reading.note] if reading.note else []
    if stated is not None and stated != codes.shape[1]:
        raise input_error(path, f"code_length {stated}", f"{codes.shape[1]}, the columns of binary_codes")
    if grm is not None:
        grm, turned = upright_grm(grm, codes.shape[1], path)
        notes += turned
        if not np.isfinite(grm).all():
            raise input_error(path, "a GRM with entries that are not finite", "numbers from 0 to 1")
        grm = _float32(grm)
    paths = _strings(values.get("paths"))
    if paths is not None and len(paths) != len(codes):
        notes.append(f"{path}: {len(paths)} paths for {len(codes)} images are left out")
        paths = None
    model = _strings(values.get("model")) or []
    for note in notes:
        if say is None:
            warnings.warn(note, stacklevel=2)
        else:
            say(note)
    return CodeSet(codes, _float32(labels), grm, paths, model[0] if len(model) == 1 else None, reading.kind)


def save_codes(path: str | os.PathLike, codes: CodeSet) -> None:
    """Write ``codes`` as ``.npz`` or ``.mat``, by the file ending; a file of that name stays whole until the end."""
    content: dict[str, np.ndarray | list[str]] = {
        "binary_codes": np.asarray(codes.binary_codes, np.float32),
        "lab": np.asarray(codes.labels, np.float32),
        "code_length": np.asarray(codes.code_length, np.int64),
    }
    if codes.grm is not None:
        content["GRM"] = np.asarray(codes.grm, np.float32)
    if codes.paths is not None:
        content["paths"] = list(codes.paths)
    if codes.model is not None:
        content["model"] = [codes.model]
    write_arrays(Path(path), content)


def load_raw(code_path: str | os.PathLike, label_path: str | os.PathLike, rows: int, length: int) -> CodeSet:
    """Read raw float32 files, as the official MIS program does: ``rows`` x ``length`` codes, and ``rows`` labels.

    Raises InputError for a file that is too short.
    """
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
    """A matrix of numbers as the file holds it; a vector becomes one column."""
    value = np.asarray(value)
    if value.dtype == object:  # a cell array of numbers, each of one
        cells = [np.asarray(cell) for cell in value.reshape(-1)]
        if all(cell.size == 1 and cell.dtype.kind in "buif" for cell in cells):
            value = np.array([cell.item() for cell in cells]).reshape(value.shape)
    if value.dtype.kind not in "buif":
        raise input_error(path, f"'{key}' of type {value.dtype}", "numbers")
    if value.ndim == 1:
        value = value[:, None]
    if value.ndim != 2 or value.shape[1] == 0:
        raise input_error(path, f"'{key}' of shape {value.shape}", "a matrix, one row an image")
    return value


def _float32(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # numbers beyond float32 become infinite, and are refused where they matter
        return np.require(values, np.float32, ["C", "W"])


def _held(path: Path) -> str:
    """What a file holds instead of what is looked for."""
    names = array_names(path)
    return f" (it holds {', '.join(names[:8])}{', …' * (len(names) > 8)})" if names else ""


def _stated_length(value: Any) -> int | None:
    """The number of bits that a file states; None where it states none that is a number."""
    number = np.asarray(value if value is not None else []).reshape(-1)
    if number.size != 1 or number.dtype.kind not in "buif" or not np.isfinite(number[0]):
        return None
    return int(number[0])


def _strings(value: Any) -> list[str] | None:
    """The strings of an optional field; None where there are none that can be read."""
    return None if value is None or not np.size(value) else strings(value)
