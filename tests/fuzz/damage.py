"""Damaged files: real ones with bytes flipped, cut, repeated, spliced or replaced by what parsers stumble over."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache

from hypothesis import strategies as st

_NUMBERS = (0, 1, 2, 127, 128, 255, 256, 2**15 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63,
            2**64 - 1)
_COUNTS = (0, 1, 1, 1, 1, 2, 2, 3, 6)  # of changes: an input with few of them gets further
_CHANGES = ("bit", "byte", "number", "insert", "replace", "end", "drop", "repeat", "splice")
ODD_TEXTS = (
    "", " ", "\0", "\n", "\r", "\t", '"', "'", ",", ";", ":", "#", "\\", "[", "]", "{", "}", "&a ", "*a", "!!int ",
    "!!binary ", "<<: ", "- ", "? ", "²", "٣", "１", "-0", "1_0", "0x10", "0b1", "1e5", "1e999", "-1e999", "nan", "inf",
    ".inf", "-Infinity", "NaN", "null", "~", "true", "no", "2024-13-45", "99999999999999999999", "9" * 400, "9" * 5000,
    "a" * 20_000, "a" * 200_000, "[" * 3000, "{a: " * 500, "../../etc/passwd", "/etc/passwd", "\x1b[2J", "\x9b31m",
    "\x1b]0;title\x07", "\u202e", "\ufeff", "\ufffe", "\u2028", "\x85", "é", "e\u0301", "=1+1", "%s%n", "{0}")
ODD_BYTES = (
    *(text.encode() for text in ODD_TEXTS), b"\xff", b"\xfc", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"PK\3\4",
    b"PK\1\2", b"PK\5\6", b"\x1f\x8b", b"\x89HDF\r\n\x1a\n", b"\xff\xd8\xff", b"\xed\xa0\x80", b"\0" * 64)


@st.composite
def damaged(draw: st.DrawFn, files: Sequence[bytes], most: int = 6, header: int = 512) -> bytes:
    """One of the files after at most ``most`` changes, half of them in its first ``header`` bytes."""
    data = bytearray(draw(st.sampled_from(list(files))))
    for _ in range(min(most, draw(st.sampled_from(_COUNTS)))):
        end = min(header, len(data)) if draw(st.booleans()) else len(data)
        place = draw(st.integers(0, end))
        change = draw(st.sampled_from(_CHANGES))
        if change == "bit" and place < len(data):
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif change == "byte" and place < len(data):
            data[place] = draw(st.integers(0, 255))
        elif change == "number":
            code = draw(st.sampled_from(("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")))
            number = draw(st.sampled_from(_NUMBERS)) & (1 << 8 * struct.calcsize(code)) - 1
            data[place : place + struct.calcsize(code)] = struct.pack(code, number)
        elif change == "insert":
            data[place:place] = draw(st.sampled_from(ODD_BYTES))
        elif change == "replace":
            data[place : place + draw(st.integers(0, 16))] = draw(st.sampled_from(ODD_BYTES))
        elif change == "end":
            del data[place:]
        elif change == "drop":
            del data[place : place + draw(st.integers(1, 64))]
        elif change == "repeat":
            part = bytes(data[place : place + draw(st.integers(1, 256))])
            data[place:place] = part * draw(st.integers(1, 8))
        elif change == "splice":
            other = draw(st.sampled_from(list(files)))
            data[place:] = other[draw(st.integers(0, len(other))) :]
    return bytes(data)


@cache
def odd_texts() -> st.SearchStrategy[str]:
    """Texts of any characters, and those that parsers stumble over."""
    return st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=12), st.integers().map(str), st.floats().map(str))


@cache
def odd_values() -> st.SearchStrategy[object]:
    """Values as JSON and YAML hold them, nested a few levels."""
    plain = st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from((2**31, 2**63, 2**64, -1, 10**400)),
                      st.floats(), odd_texts())
    return st.recursive(plain, lambda inner: st.one_of(st.lists(inner, max_size=4),
                                                       st.dictionaries(odd_texts(), inner, max_size=4)), max_leaves=8)


@st.composite
def damaged_value(draw: st.DrawFn, values: Sequence[object], most: int = 3) -> object:
    """One of the nested values (dicts, lists) after at most ``most`` of its parts were replaced, added or removed."""
    value = _copy(draw(st.sampled_from(list(values))))
    for _ in range(min(most, draw(st.sampled_from(_COUNTS)))):
        places = list(_places(value))
        if not places:
            return draw(odd_values())
        holder, key = draw(st.sampled_from(places))
        change = draw(st.sampled_from(("replace", "replace", "remove", "add")))
        if change == "replace":
            holder[key] = draw(odd_values())
        elif change == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(odd_texts())] = draw(odd_values())
        else:
            holder.insert(key, draw(odd_values()))
    return value


def _copy(value: object) -> object:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, (list, tuple)) else value


def _places(value: object):
    """(holder, key) of every part of a nested value."""
    if isinstance(value, (dict, list)):
        for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from _places(item)
