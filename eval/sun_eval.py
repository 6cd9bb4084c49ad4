"""Category, attribute and customised retrieval on SUN: ``python eval/sun_eval.py CODES``."""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: the repository is the import root, not its folder eval/
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from ibc.commands.command import run_command
from ibc.commands.evaluate import main
from ibc.commands.evaluate_flags import Setting, build_parser
from ibc.retrieval.attribute_names import SUN

SETTING = Setting("sun_eval", data="sun_attr", top_k=12, attribute_names=SUN, first_attribute="ocean")

if __name__ == "__main__":
    sys.exit(run_command(build_parser(SETTING), lambda args: main(SETTING, args)))
