"""Dissect a network as settings.py and the flags say: ``python netdissect_lite/main.py``, from any folder."""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: the repository is the import root, not this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from ibc.commands.dissect import command_with
from netdissect_lite import settings

COMMAND = command_with(settings, prog="netdissect_lite/main.py")

if __name__ == "__main__":
    sys.exit(COMMAND())
