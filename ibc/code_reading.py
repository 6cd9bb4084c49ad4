"""What the numbers of codes are: sigmoid values, signs, tanh values, logits, bytes or packed bits.

Codes of any program flow in; sigmoid values in [0, 1], where a bit is 1 above 0.5, flow out. The range of the numbers
says what they are. Where it leaves a choice, the codes are refused with that choice: nothing is guessed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ibc.code_kinds import KINDS
from ibc.errors import input_error

THRESHOLDS = {"sigmoid": 0.5, "tanh": 0.0, "logit": 0.0, "byte": 127.5}
ABOVE_ZERO = ("tanh", "logit")  # kinds of real numbers with the threshold 0
SLACK = 1e-6  # sigmoid values of other programs may be rounded to a little outside [0, 1]
NEAR = 0.5    # real numbers no further than this from [0, 1] may be sigmoid values with noise, or logits
BLOCK_ROWS = 2**16  # rows that are examined at a time


@dataclass(frozen=True)
class CodeRange:
    """The numbers of (N, K) codes: the lowest and highest; whether all are whole, all -1, 0 or 1, all 0 or 255."""

    low: float
    high: float
    whole: bool
    signs: bool
    ends: bool

    def __str__(self) -> str:
        return f"{'' if self.whole else 'real '}numbers from {self.low:.6g} to {self.high:.6g}"


def in_unit(low: float, high: float) -> bool:
    """Whether numbers from ``low`` to ``high`` are in [0, 1], but for rounding."""
    return low >= -SLACK and high <= 1 + SLACK


def limits(values: np.ndarray, where: str | os.PathLike | None) -> tuple[float, float]:
    """The lowest and the highest of (N, K) codes; (0, 0) without any.

    Raises InputError, with the row, for a number that is not finite. Looks at a block of rows at a time.
    """
    low, high = np.inf, -np.inf
    for start, block in _blocks(values):
        ends = float(block.min()), float(block.max())
        if not np.isfinite(ends).all():
            row = start + int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
            raise input_error(where, f"a code that is not a finite number in row {row + 1} of binary_codes",
                              "numbers in [0, 1]", "extract the codes again")
        low, high = min(low, ends[0]), max(high, ends[1])
    return (low, high) if values.size else (0.0, 0.0)


@dataclass(frozen=True)
class CodeReading:
    """How codes are read.

    kind: one of ``KINDS``. note: what a user should be told, "" of sigmoid values and of a kind that was asked for.
    clip: sigmoid values reach a little beyond [0, 1]. length: bits of a packed code; None: all.
    """

    kind: str
    note: str = ""
    clip: bool = False
    length: int | None = None

    def convert(self, values: np.ndarray) -> np.ndarray:
        """(N, K) float32 sigmoid values in [0, 1]; a value on one side of its threshold stays on that side."""
        if self.kind == "sigmoid" and not self.clip and values.dtype != np.float64:
            return np.ascontiguousarray(values, np.float32)
        if self.kind in ("packed", "packed_little"):
            return _unpacked(values, self.kind)[:, : self.length].astype(np.float32)
        codes = np.empty(values.shape, np.float32)
        for start, block in _blocks(values):
            codes[start : start + len(block)] = _convert(block.astype(np.float64), self.kind)
        return codes


def recognise(values: np.ndarray, where: str | os.PathLike | None, length: int | None = None,
              kind: str | None = None) -> CodeReading:
    """How (N, K) codes of any number type are read.

    length: the number of bits, where the file says it: more bits than columns mean packed bits. kind: asked for, one of
    ``KINDS``; None: told from the numbers. where: the file, for messages. Raises InputError where several kinds are
    possible, where the numbers are not of the kind asked for, and where one is not finite.
    """
    if kind is not None and kind not in KINDS:
        raise input_error("--codes", f"'{kind}'", f"one of {', '.join(KINDS)}")
    low, high = limits(values, where)
    clip = not (low >= 0 and high <= 1)
    if in_unit(low, high) and kind in (None, "sigmoid"):
        return CodeReading("sigmoid", clip=clip)
    found = _range(values, low, high)
    if kind is not None:
        _check(found, values, kind, where, length)
        return CodeReading(kind, "", clip, length)
    kinds = _possible(found, values.shape[1], length, values.dtype)
    likely = tuple(kind for kind in kinds if _has_both_bits(found, kind))
    if len(kinds) > 1 or not likely:
        raise input_error(where, f"codes that are {found}", "sigmoid values in [0, 1], or codes of one clear kind",
                          f"say what they are: {choices(likely)}" if likely else "store them as 0 and 1")
    note = f"{where or 'codes'}: {found} are read as {KINDS[kinds[0]]}; --codes KIND sets another reading"
    return CodeReading(kinds[0], note, clip, length)


def _has_both_bits(found: CodeRange, kind: str) -> bool:
    """Whether some bits are 1 and some 0 where the numbers are read so; of signs and packed bits they need not be."""
    return kind not in THRESHOLDS or found.ends or found.low < THRESHOLDS[kind] < found.high


def choices(kinds: tuple[str, ...]) -> str:
    """The choice between kinds for people: ``--codes byte or --codes packed``."""
    return " or ".join(f"--codes {kind}" for kind in kinds) + " (ibc report: --code_kind, in Python: kind=)"


def _convert(block: np.ndarray, kind: str) -> np.ndarray:
    """float32 sigmoid values of a block in float64."""
    if kind in ("sigmoid", "byte"):
        exact = np.clip(block if kind == "sigmoid" else block / 255, 0, 1)
    else:
        exact = (1 + (np.tanh(block / 2) if kind == "logit" else np.clip(block, -1, 1))) / 2
    codes = exact.astype(np.float32)
    middle = np.float32(0.5)
    side = exact - 0.5 if kind in ("sigmoid", "byte") else block  # a small logit is lost beside 0.5
    codes[(side > 0) & (codes <= middle)] = np.nextafter(middle, np.float32(1))
    codes[(side < 0) & (codes >= middle)] = np.nextafter(middle, np.float32(0))
    return codes


def _unpacked(values: np.ndarray, kind: str) -> np.ndarray:
    """(N, bits) uint8 of 0 and 1."""
    if not values.size:
        return np.zeros((len(values), 8 * values.shape[1]), np.uint8)
    small = values.min() >= 0 and values.max() <= 255  # bytes, whatever type holds them
    words = np.ascontiguousarray(values.astype(np.uint8) if small else values)
    octets = words.astype(words.dtype.newbyteorder("<"), copy=False).view(np.uint8).reshape(len(values), -1)
    return np.unpackbits(octets, axis=1, bitorder="big" if kind == "packed" else "little")


def _check(found: CodeRange, values: np.ndarray, kind: str, where: str | os.PathLike | None,
           length: int | None) -> None:
    """Raises InputError where numbers cannot be of a kind that was asked for."""
    is_byte = found.low >= 0 and found.high <= 255
    right = {
        "sigmoid": True, "logit": True,
        "sign": found.signs and not (found.low == 0 and found.high > 0),
        "tanh": found.low >= -1 - SLACK and found.high <= 1 + SLACK,
        "byte": is_byte,
        "packed": found.whole and (is_byte or values.dtype == np.int8),
        "packed_little": found.whole and (is_byte or values.dtype.kind in "ui"),
    }
    if not right[kind]:
        raise input_error(where, f"codes that are {found} with --codes {kind}", KINDS[kind])
    bits = values.shape[1] * 8 * (1 if is_byte else values.dtype.itemsize)
    if kind.startswith("packed") and length is not None and length > bits:
        raise input_error(where, f"{bits} packed bits", f"{length}, the code length")


def _possible(found: CodeRange, columns: int, length: int | None, dtype: np.dtype) -> tuple[str, ...]:
    """The kinds that codes outside [0, 1] may be of."""
    if found.signs:
        return ("sign",)
    if found.ends:
        return ("byte",)
    if not found.whole:
        return _possible_reals(found)
    is_packed, is_plain = length is not None and length > columns, length == columns
    if dtype.kind == "f" and not (found.low >= 0 and found.high <= 255):  # words of bits are whole by their type
        return ("sigmoid", "logit") if found.low >= 0 else ("logit",)
    if found.low >= 0:
        if found.high > 255:
            return ("packed_little",) if is_packed else ("logit", "packed_little")
        if is_packed:
            return "packed", "packed_little"
        return ("byte",) if is_plain else ("byte", "packed", "packed_little")
    if is_plain:
        return ("logit",)
    return ("logit", "packed", "packed_little") if dtype == np.int8 else ("logit", "packed_little")


def _possible_reals(found: CodeRange) -> tuple[str, ...]:
    if found.low >= 0:
        return ("sigmoid", "logit", "byte") if found.high <= 255 else ("sigmoid", "logit")
    if found.high <= 0:
        return ("tanh", "logit", "sigmoid") if found.low >= -1 else ("logit", "sigmoid")
    if found.low >= -NEAR and NEAR < found.high <= 1 + NEAR:
        return ("sigmoid", "tanh", "logit") if found.high <= 1 else ("sigmoid", "logit")
    return ("tanh",) if found.low >= -1 - SLACK and found.high <= 1 + SLACK else ("logit",)


def _range(values: np.ndarray, low: float, high: float) -> CodeRange:
    whole = ends = True
    for _, block in _blocks(values):
        whole = whole and (block.dtype.kind != "f" or bool((block == np.floor(block)).all()))
        ends = ends and whole and bool(((block == 0) | (block == 255)).all())
        if not whole:
            break
    return CodeRange(low, high, whole, whole and low >= -1 and high <= 1, ends)


def _blocks(values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, rows) of blocks that are not empty."""
    for start in range(0, len(values), BLOCK_ROWS):
        block = np.asarray(values[start : start + BLOCK_ROWS])
        if block.size:
            yield start, block


def check_alike(kinds: dict[str, str]) -> None:
    """Refuse codes that are compared while one file reads as sigmoid values and another as tanh values or logits.

    kinds: file -> kind. The first may be such values too, of few images and by chance none below 0. Raises InputError.
    """
    real = {file: kind for file, kind in kinds.items() if kind in ABOVE_ZERO}
    unit = [file for file, kind in kinds.items() if kind == "sigmoid"]
    if real and unit:
        other, kind = next(iter(real.items()))
        raise input_error(unit[0], f"numbers in [0, 1], beside {other} with {KINDS[kind]}", "codes of one kind",
                          f"say what both are: {choices(('tanh', 'logit'))}, or convert one file")
