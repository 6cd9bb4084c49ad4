"""Text files of other programs as text: UTF-8, or UTF-16 and UTF-32 with their byte order mark.

Windows PowerShell and Excel write UTF-16; old Windows programs write code pages such as Windows-1252. What cannot be
told for sure is refused with the line, and never guessed.
"""

from __future__ import annotations

import codecs
import os
import re

from ibc.errors import InputError, input_error

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
          (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))  # 32 before 16, which it begins with
LONGEST_NAME = 1000  # characters of the name of a class or an attribute
_HEAD = 1024  # bytes looked at for zeros; even
_MOST_ZEROS = 0.4  # of the bytes at even or at odd places; text in UTF-16 has more, other text has none
_WHOLE = re.compile(r"\s*([+-]?[0-9]{1,18})\s*")


def decode_text(data: bytes, where: str | os.PathLike, *, keep_bytes: bool = False,
                kind: type[InputError] = InputError) -> str:
    """The text of a file, without its byte order mark.

    where: the file, for messages. keep_bytes: bytes that are not UTF-8 become surrogates, as in the file names of
    Python, so that a text may hold any file name. kind: of the error. Raises InputError, with the line, for bytes that
    are no text.
    """
    mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", "utf-8"))
    if not mark and _has_zeros(data[:_HEAD]):
        raise input_error(where, "text in UTF-16 without a byte order mark", "UTF-8", "save it as UTF-8", kind=kind)
    errors = "surrogateescape" if keep_bytes and encoding == "utf-8" else "strict"
    try:
        return data[len(mark):].decode(encoding, errors)
    except UnicodeDecodeError as error:
        before = data[len(mark):][: error.start].decode(encoding, "replace")
        raise not_utf8(where, before.count("\n") + 1, encoding, kind) from None


def read_text(path: str | os.PathLike, *, keep_bytes: bool = False) -> str:
    """``decode_text`` of a file. Raises OSError where it cannot be read."""
    with open(path, "rb") as handle:
        return decode_text(handle.read(), path, keep_bytes=keep_bytes)


def names_of_text(text: str, where: str | os.PathLike) -> list[str]:
    """The names in a text, one a line, without blank lines. Raises InputError for one of very many characters."""
    names = []
    for number, line in enumerate(text.splitlines(), start=1):
        if name := line.strip():
            if len(name) > LONGEST_NAME:
                raise input_error(where, f"a name of {len(name)} characters", f"at most {LONGEST_NAME}, one a line",
                                  line=number)
            names.append(name)
    return names


def whole_number(text: str) -> int | None:
    """The number that a text of the digits 0 to 9 says, with a sign or none, up to 18 of them; None for other text.

    Python's own ``int`` also takes 1_000, takes digits of other scripts, and refuses very long numbers with an error.
    """
    match = _WHOLE.fullmatch(text)
    return int(match[1]) if match else None


def not_utf8(where: str | os.PathLike, line: int, encoding: str = "utf-8",
             kind: type[InputError] = InputError) -> InputError:
    """The error for a line with bytes that are not of the encoding, to be raised."""
    return input_error(where, f"bytes that are not {encoding.upper().removesuffix('-LE').removesuffix('-BE')}",
                       "text in UTF-8", "save it as UTF-8 (Excel: CSV UTF-8)", line=line, kind=kind)


def has_undecoded(text: str) -> bool:
    """Whether a text holds bytes that are not UTF-8, as surrogates."""
    return any("\udc80" <= character <= "\udcff" for character in text)


def printable(text: str) -> str:
    """A name on one line of valid text: bytes that are not UTF-8 become ``\\xfc``, line breaks become spaces."""
    return " ".join(text.encode(errors="surrogateescape").decode(errors="backslashreplace").splitlines())


def _has_zeros(head: bytes) -> bool:
    half = len(head) // 2
    return half > 0 and max(head[0::2].count(0), head[1::2].count(0)) > _MOST_ZEROS * half
