"""Find images by chosen bits of their codes: ``python -m eval.search CODES``, the same as ``ibc search``."""

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: the repository is the import root, not this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from ibc.commands.search import COMMAND

if __name__ == "__main__":
    sys.exit(COMMAND(prog="python -m eval.search"))
