"""``python -m ibc.data.concept_scenes``: the old name of ``ibc prepare concept_scenes``."""

import sys

from ibc.datasets.concept_scenes.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
