"""Extract codes: ``python fea_extraction.py --config F --checkpoint P --save_name S``."""

import sys

from ibc.commands.command import run_command
from ibc.commands.extract import build_parser, main

if __name__ == "__main__":
    sys.exit(run_command(build_parser(), main))
