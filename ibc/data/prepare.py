"""``python -m ibc.data.prepare``: the old name of ``ibc prepare``."""

import sys

from ibc.datasets.prepare.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
