"""What people see on a terminal: names and values from files are escaped and shortened before they are printed.

A file name or a label may hold control characters, which set the title of a terminal, clear it or turn the direction of
writing, and may be of any length.
"""

from __future__ import annotations

import re
import sys
from typing import TextIO

# Control characters but for tab and line feed; marks that change the direction of writing, or are not seen at all;
# line separators; bytes that are not UTF-8 (surrogates). Joiners (U+200C, U+200D) stay: scripts and emoji need them.
_UNSEEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
                     "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]")


def visible(text: str) -> str:
    """The text with unseen characters as escapes: ``\\x1b``, ``\\u202e``; bytes that are not UTF-8 as ``\\xfc``."""
    return text if text.isprintable() else _UNSEEN.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def shortened(text: str, most: int) -> str:
    """The text with at most ``most`` characters: beginning and end, and how many are left out between them."""
    if len(text) <= most:
        return text
    mark = f" … {len(text) - most} more characters … "
    head = (most - len(mark)) * 2 // 3
    return f"{text[:head]}{mark}{text[len(text) - (most - len(mark) - head):]}"


def show(text: str = "", stream: TextIO | None = None) -> None:
    """Print text for people, in one or several lines, at once. stream: default stdout."""
    print(visible(text), file=stream or sys.stdout, flush=True)
