"""Mutual information score: ``python compute_mutual_info_offline.py --is_mat_file --fea_file_path F ...``."""

import sys

from ibc.commands.command import run_command
from ibc.commands.mis import build_parser, main

if __name__ == "__main__":
    sys.exit(run_command(build_parser(), main))
