"""``python -m ibc.data.doctor``: the old name of ``ibc doctor``."""

import sys

from ibc.datasets.doctor.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
