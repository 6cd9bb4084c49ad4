"""``ibc train``, also ``python train.py``: train the network of a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ibc.commands.command import Command, CommandParser, add_config_flag, add_device_flag, command_parser
from ibc.device import keep_freed_memory, make_deterministic, resolve_device
from ibc.errors import input_error
from ibc.ready_configs import find_config

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from ibc.config import Config
    from ibc.network import IBC

EXAMPLE = """
{prog} --config configs/imagenet100.yaml
{prog} --config configs/imagenet100.yaml --resume
{prog} --config configs/cifar10.yaml --set lr=5e-5 --set model.code_len=64 --amp bf16
{prog} --config datasets/mine/config.yaml --set model.backbone=efficientnet_lite0 --freeze
"""


@dataclass(frozen=True)
class TrainOptions:
    """The flags of ``ibc train``."""

    config: str
    output_path: str
    resume: bool
    init_from: str | None
    overrides: list[str]
    seed: int | None
    freeze: bool
    amp: str
    compile: bool
    deterministic: bool
    skip_bad_images: bool
    device: str


def build_parser(prog: str | None = None) -> CommandParser:
    """The flags of ``ibc train``, with their help."""
    parser = command_parser("Train the IBC network on the list files of a configuration. Ctrl-C (or SIGTERM) finishes "
                            "the current update, saves, and exits; --resume goes on.", EXAMPLE, prog)
    add_config_flag(parser, "YAML configuration")
    parser.add_argument("--output_path", default=".", metavar="DIR",
                        help="logs/ and outputs/ go below this folder (default: .)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--init_from", metavar="CHECKPOINT", help="start from these weights, at update 0")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                        help="replace a value of the configuration, as in model.code_len=64 (repeatable)")
    parser.add_argument("--seed", type=int, metavar="N", help="replace the seed of the configuration")
    parser.add_argument("--freeze", action="store_true",
                        help="compute the backbone's features of every image once, keep them, and train the heads "
                             "(model.freeze: backbone)")
    parser.add_argument("--amp", choices=["off", "bf16"], default="off", help="bf16: mixed precision (default: off)")
    parser.add_argument("--compile", action="store_true", help="compile the update (worth it on a GPU)")
    parser.add_argument("--deterministic", action="store_true", help="repeat bit for bit on a GPU too, slower")
    parser.add_argument("--skip_bad_images", action="store_true", help="replace unreadable images instead of stopping")
    add_device_flag(parser)
    return parser


def run(options: TrainOptions) -> int:
    """Train, and return 0, or 128 + the signal that stopped it."""
    from ibc.config import load_config

    if options.resume and options.init_from:
        raise input_error("--init_from", "--resume beside it", "one of the two")
    seed = [] if options.seed is None else [f"seed={options.seed}"]
    freeze = ["model.freeze=backbone"] if options.freeze else []
    config = load_config(find_config(options.config), options.overrides + seed + freeze)
    device = resolve_device(options.device)
    keep_freed_memory(device)

    from ibc.processes import processes
    from ibc.train_loop import train

    if options.deterministic:
        make_deterministic()
    with processes(device) as device:
        validate = validator(config, device, options.skip_bad_images) if config.val_iter else None
        return train(config, options.output_path, device, resume=options.resume, init_from=options.init_from,
                     amp=options.amp, compile_update=options.compile, skip_bad=options.skip_bad_images,
                     validate=validate)


def validator(config: Config, device: torch.device, skip_bad: bool) -> Callable[[IBC], float]:
    """A function that scores a network on ``val_num`` test images, spread evenly over the list.

    The score is the category mAP of the paper, queries = database.
    """
    import numpy as np

    from ibc.codes import binarise
    from ibc.data.loader import encoding_batches, images_for_testing
    from ibc.extraction import encode_batches
    from ibc.retrieval.average_precision import mean_average_precision

    images = images_for_testing(config)
    count = min(config.val_num, len(images))
    images = images.subset(np.linspace(0, len(images) - 1, count).round().astype(int))

    def validate(model: IBC) -> float:
        encoded = encode_batches(model, encoding_batches(config, images, device, skip_bad=skip_bad), len(images),
                                 device)
        bits, labels = binarise(encoded.codes), images.labels[encoded.indices]
        if not config.model.multi_label:
            labels = labels[:, 0].astype(np.int64)
        return float(mean_average_precision(bits, labels, bits, labels, self_match="keep", device=device.type))

    return validate


COMMAND = Command(build_parser, TrainOptions, run)
