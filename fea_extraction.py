"""Extract codes: ``python fea_extraction.py --config F --checkpoint P --save_name S``, the same as ``ibc extract``."""

import sys

from ibc.commands.extract import COMMAND

if __name__ == "__main__":
    sys.exit(COMMAND())
