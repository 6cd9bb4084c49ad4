"""Category and attribute retrieval on ImageNet-150K: ``python eval/imagenet150k_eval.py CODES``."""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a file: the repository is the import root, not its folder eval/
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from ibc.commands.command import run_command
from ibc.commands.evaluate import main
from ibc.commands.evaluate_flags import Setting, build_parser
from ibc.retrieval.attribute_names import IMAGENET_150K

SETTING = Setting("imagenet150k_eval", data="imagenet", top_k=13, attribute_names=IMAGENET_150K)

if __name__ == "__main__":
    sys.exit(run_command(build_parser(SETTING), lambda args: main(SETTING, args)))
