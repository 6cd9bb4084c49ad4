"""``python -m ibc.data.doctor``: the old name of ``ibc doctor``."""

import sys

from ibc.commands.doctor import COMMAND

if __name__ == "__main__":
    sys.exit(COMMAND(prog="python -m ibc.data.doctor"))
