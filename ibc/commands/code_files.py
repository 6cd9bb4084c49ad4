"""How commands read codes files: the flag that says what the numbers are, and notes on stderr."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from ibc.code_kinds import KINDS
from ibc.screen import show

if TYPE_CHECKING:
    import os

    from ibc.codes import CodeSet


def add_codes_flag(parser: argparse.ArgumentParser, flag: str = "--codes") -> None:
    """``--codes KIND``, under the name ``code_kind``."""
    kinds = ", ".join(KINDS)
    parser.add_argument(flag, dest="code_kind", choices=list(KINDS), metavar="KIND",
                        help=f"what the numbers of the codes files are: {kinds} (default: told from their range, with "
                             "a note where they are no sigmoid values)")


def print_note(note: str) -> None:
    """Print a note on stderr."""
    show(f"note: {note}", sys.stderr)


def read_codes(path: str | os.PathLike, kind: str | None, **how: Any) -> CodeSet:
    """``load_codes`` with its notes on stderr."""
    from ibc.codes import load_codes

    return load_codes(path, kind=kind, say=print_note, **how)


def print_label_notes(codes: CodeSet, multi_label: bool) -> None:
    """Say on stderr what is odd about the labels, if anything."""
    from ibc.code_layout import label_notes

    for note in label_notes(codes, multi_label):
        print_note(note)
