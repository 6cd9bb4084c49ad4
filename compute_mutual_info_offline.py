"""Mutual information score: ``python compute_mutual_info_offline.py --is_mat_file ...``, the same as ``ibc mis``."""

import sys

from ibc.commands.mis import COMMAND

if __name__ == "__main__":
    sys.exit(COMMAND())
