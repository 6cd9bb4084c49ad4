"""Category, attribute and customised retrieval on SUN: ``python eval/sun_eval.py CODES``."""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: the repository is the import root, not this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from ibc.commands.evaluate import command_for

COMMAND = command_for("sun")

if __name__ == "__main__":
    sys.exit(COMMAND())
