"""Text and arrays as the page's ``data.js`` holds them: safe in a classic script, exact when read back.

Arrays become base64 of their little-endian bytes. Text becomes JSON in ASCII. What no page can show (bytes of a file
name that are not UTF-8, control characters) becomes a visible escape such as ``\\xff``.
"""

from __future__ import annotations

import base64
import json
import math
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def visible(text: str | os.PathLike) -> str:
    """``text`` with ``\\xHH`` for control characters and for bytes that are not UTF-8; all else stays as it is."""
    return _HIDDEN.sub(_escape, os.fspath(text))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # Python's stand-in for an undecodable byte of a file name
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def script_json(value: Any) -> str:
    """JSON that is also a JavaScript expression, in ASCII, and that holds no ``<``.

    So neither the file's encoding nor ``</script>`` or U+2028 in a text matters. Numbers are rounded to 4 digits;
    those that are not finite become null.
    """
    return json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return value


def base64_of(array: np.ndarray) -> str:
    """The bytes of an array, little-endian and in C order, as base64."""
    array = np.ascontiguousarray(array)
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()).decode("ascii")


def planar_words(flags: np.ndarray) -> np.ndarray:
    """(W, N) uint32 of (N, K) bool, W = ceil(K / 32): word w holds bits 32 w to 32 w + 31, the lowest bit first."""
    count, length = flags.shape
    words = -(-length // 32)
    packed = np.zeros((count, 4 * words), np.uint8)
    packed[:, : -(-length // 8)] = np.packbits(flags, axis=1, bitorder="little")
    return np.ascontiguousarray(packed.view("<u4").T)


def bitset(flags: np.ndarray) -> str:
    """Base64 of (N,) bool as bits, the lowest bit of the first byte first."""
    return base64_of(np.packbits(flags, bitorder="little"))


def front_coded(texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Texts without what each shares with the one before it, and how much that is.

    Returns the rests and (N,) uint8: the number of UTF-16 units (as JavaScript counts) at the start that are those of
    the text before, at most 255.
    """
    rests: list[str] = []
    shared = np.zeros(len(texts), np.uint8)
    before = ""
    for place, text in enumerate(texts):
        same = len(os.path.commonprefix([before, text]))  # noqa: RUF071 - characters are meant
        units = len(text[:same].encode("utf-16-le")) // 2
        if units > 255:
            same, units = _units_of_prefix(text, 255)
        rests.append(text[same:])
        shared[place] = units
        before = text
    return rests, shared


def _units_of_prefix(text: str, most: int) -> tuple[int, int]:
    """(characters, UTF-16 units) of the longest prefix of at most ``most`` units."""
    units = 0
    for place, character in enumerate(text):
        width = 2 if ord(character) > 0xFFFF else 1
        if units + width > most:
            return place, units
        units += width
    return len(text), units
