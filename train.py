"""Train IBC: ``python train.py --config configs/imagenet100.yaml --output_path .``, the same as ``ibc train``."""

import sys

from ibc.commands.train import COMMAND

if __name__ == "__main__":
    sys.exit(COMMAND())
