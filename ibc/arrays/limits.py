"""How much memory the arrays of one file may take: a small file must not fill the machine.

Compressed and sparse arrays, and those that a file only declares, may be far larger than their file; every reader asks
here before it takes memory for one.
"""

from __future__ import annotations

import os

from ibc.errors import input_error

SETTING = "IBC_ARRAY_GB"  # environment variable: gigabytes that the arrays of one file may take
DEFAULT_GB = 1.0
GB = 10**9
USUAL_GROWTH = 8  # times its size a file may grow without being asked for
LEAST_BYTES = 4  # of a number: whatever the file has, the numbers become float32


class MemoryLimit:
    """Memory for the arrays of one file: eight times as much as the file has, or the setting where that is more."""

    def __init__(self, where: str | os.PathLike, file_bytes: int, holds: str = "arrays"):
        """where: the file, for messages. holds: what is in it. Raises InputError where the setting is no number."""
        self.where, self.holds = where, holds
        self.most = self.left = max(USUAL_GROWTH * file_bytes, int(_gigabytes() * GB))
        self.file_bytes = file_bytes

    def take_numbers(self, count: int, itemsize: int, what: str) -> None:
        """Count an array of numbers, as large as it is once it is float32. Raises InputError as ``take``."""
        self.take(count * max(itemsize, LEAST_BYTES), what)

    def take(self, size: int, what: str) -> None:
        """Count ``size`` bytes of the array ``what``. Raises InputError where the limit is passed."""
        if size > self.left:
            raise input_error(self.where, f"{what} of {_text(size)} in a file of {_text(self.file_bytes)}",
                              f"{self.holds} of {_text(self.most)} in all",
                              f"set {SETTING} to more gigabytes, in the environment, if you trust the file")
        self.left -= size


def _text(size: int) -> str:
    """A number of bytes for people."""
    if size < 10**6:
        return f"{size} bytes"
    return f"{size / GB:.3g} GB" if size >= GB else f"{size / 10**6:.3g} MB"


def _gigabytes() -> float:
    text = os.environ.get(SETTING, "")
    try:
        value = float(text) if text else DEFAULT_GB
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise input_error(f"environment variable {SETTING}", f"'{text}'", "a number of gigabytes")
    return value
