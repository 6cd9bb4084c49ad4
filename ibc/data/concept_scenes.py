"""``python -m ibc.data.concept_scenes``: the old name of ``ibc prepare concept_scenes``."""

import sys

from ibc.commands.prepare import command_of

if __name__ == "__main__":
    sys.exit(command_of("concept_scenes")(prog="python -m ibc.data.concept_scenes"))
