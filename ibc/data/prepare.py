"""``python -m ibc.data.prepare``: the old name of ``ibc prepare``."""

import sys

from ibc.commands.prepare import COMMAND

if __name__ == "__main__":
    sys.exit(COMMAND(prog="python -m ibc.data.prepare"))
