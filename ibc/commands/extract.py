"""``ibc extract``, also ``python fea_extraction.py``: codes of a list of images, or of any folder."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ibc.commands.command import (
    Command,
    CommandParser,
    add_config_flag,
    add_device_flag,
    add_json_flag,
    add_seed_flag,
    command_parser,
    speaker,
)
from ibc.device import keep_freed_memory, resolve_device
from ibc.errors import input_error
from ibc.foreign_names import is_plain_name
from ibc.json_report import write_json
from ibc.ready_configs import find_config
from ibc.screen import show

if TYPE_CHECKING:
    from ibc.codes import CodeSet
    from ibc.config import Config
    from ibc.data.list_file import ImageList
    from ibc.network import IBC

EXAMPLE = """
{prog} --config configs/imagenet100.yaml \\
    --checkpoint outputs/imagenet100/checkpoints/checkpoint_00050000.pt --save_name test
{prog} --config configs/imagenet100.yaml --checkpoint checkpoint_50000.pt \\
    --images ~/Pictures --save_name pictures
"""


@dataclass(frozen=True)
class ExtractOptions:
    """The flags of ``ibc extract``."""

    config: str
    checkpoint: str
    save_name: str
    seed: int
    split: str
    images: str | None
    max_num: int | None
    output_path: str
    overrides: list[str]
    skip_bad_images: bool
    device: str
    json_path: str | None


def build_parser(prog: str | None = None) -> CommandParser:
    """The flags of ``ibc extract``, with their help."""
    parser = command_parser("Write the codes of a list of images (or of any folder) with the labels and the rule "
                            "matrix to results/<model_name>/<save_name>.npz and .mat.", EXAMPLE, prog)
    add_config_flag(parser, "YAML configuration of the model and its data")
    parser.add_argument("--checkpoint", required=True, metavar="FILE",
                        help="checkpoint file, or a folder whose newest is taken")
    parser.add_argument("--save_name", required=True, metavar="NAME", help="name of the two files written")
    add_seed_flag(parser, 1, "kept from the official command; no random number is drawn")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--split", choices=["test", "train"], default="test", help="which list (default: test)")
    source.add_argument("--images", metavar="DIR", help="all images below a folder instead; they need no labels")
    parser.add_argument("--max_num", type=int, metavar="N", help="stop after N images (default: all)")
    parser.add_argument("--output_path", default=".", metavar="DIR",
                        help="results/ goes below this folder (default: .)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                        help="replace a value of the configuration (repeatable)")
    parser.add_argument("--skip_bad_images", action="store_true",
                        help="leave unreadable images out instead of stopping")
    add_device_flag(parser)
    add_json_flag(parser)
    return parser


def run(options: ExtractOptions) -> None:
    """Encode the images and write their codes; the main process of several writes and prints."""
    from ibc.config import load_config

    if options.max_num is not None and options.max_num < 1:
        raise input_error("--max_num", str(options.max_num), "at least 1")
    if not is_plain_name(options.save_name):
        raise input_error("--save_name", f"'{options.save_name}'", "a plain file name",
                          "choose the folder by --output_path")
    config_file = find_config(options.config)
    config = load_config(config_file, options.overrides)
    config.require("model_name")
    images = images_of(options, config)
    device = resolve_device(options.device)
    keep_freed_memory(device)

    import numpy as np

    from ibc.checkpoint import code_fingerprint, find_checkpoint, load_model
    from ibc.codes import CodeSet, save_codes
    from ibc.extraction import encode_images
    from ibc.objectives.table import OBJECTIVES
    from ibc.processes import processes

    checkpoint = find_checkpoint(options.checkpoint)
    with processes(device) as device:
        model = load_model(checkpoint, config.model).to(device)
        start = time.perf_counter()
        encoded = encode_images(model, config, images, device, resize_always=None if options.images is None else True,
                                skip_bad=options.skip_bad_images)
        rate = len(images) / (time.perf_counter() - start)
    if encoded is None:  # the main process of several writes
        return
    for bad in encoded.bad:
        show(f"skipped: {bad}", sys.stderr)
    if not np.isfinite(encoded.codes).all():
        raise input_error(checkpoint, "weights that give codes which are not finite", "finite numbers",
                          "take another checkpoint")
    if not len(encoded.codes):
        raise input_error(options.images or config.source, "no readable image", "at least one")

    say = speaker(options.json_path)
    kept = images.subset(encoded.indices)
    grm = model.grm.cpu().numpy() if OBJECTIVES[config.objective].HAS_GATES else None
    codes = CodeSet(encoded.codes, kept.labels, grm, kept.names, code_fingerprint(model))
    for ending in (".npz", ".mat"):
        path = Path(options.output_path, "results", config.model_name, options.save_name + ending)
        save_codes(path, codes)
        say(f"wrote {path}")
    accuracy = None if config.model.multi_label else code_accuracy(model, codes)
    if accuracy is not None:
        say(f"accuracy of the code classifier: {accuracy:.4f}")
    left_out = f", {len(encoded.bad)} unreadable ones left out" if encoded.bad else ""
    say(f"{len(codes)} images{left_out}, {codes.code_length} bits, {rate:.1f} images/s on {device}")
    if options.json_path:
        write_json(options.json_path, command="fea_extraction", seed=options.seed,
                   protocol={"split": None if options.images is not None else options.split, "folder": options.images,
                             "crop": list(config.crop_size), "decoder": config.decoder, "device": str(device)},
                   inputs=[config_file, checkpoint],
                   metrics={"images": len(codes), "skipped_images": len(encoded.bad),
                            "code_length": codes.code_length, "code_accuracy": accuracy, "images_per_s": rate})


def code_accuracy(model: IBC, codes: CodeSet) -> float | None:
    """Share of the images with a category whose class the code classifier names; None without any."""
    import torch

    from ibc.labels import NO_CATEGORY

    known = codes.categories != NO_CATEGORY
    if not known.any() or codes.categories[known].max() >= model.grm.shape[0]:
        return None
    with torch.inference_mode():
        logits = model.cpu().classify_codes(torch.from_numpy(codes.binary_codes[known]))
    return float((logits.argmax(dim=1).numpy() == codes.categories[known]).mean())


def images_of(options: ExtractOptions, config: Config) -> ImageList:
    """The images that the flags name, at most ``--max_num`` of them."""
    import numpy as np

    from ibc.data.list_file import images_below
    from ibc.data.loader import images_for_testing, images_for_training

    if options.images is not None:
        if not options.images:
            raise input_error("--images", "''", "a folder")
        size = "new_size" if config.new_size_b is None else "new_size_b"
        config.require("crop_image_height", "crop_image_width", size)
        images = images_below(options.images, say=lambda line: show(f"note: {line}", sys.stderr))
    else:
        images = images_for_testing(config) if options.split == "test" else images_for_training(config)
    return images if options.max_num is None else images.subset(np.arange(min(options.max_num, len(images))))


COMMAND = Command(build_parser, ExtractOptions, run)
