"""Extract codes: ``python fea_extraction.py --config F --checkpoint P --save_name S``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ibc.commands.command import add_device_flag, add_json_flag, add_seed_flag, command_parser, speaker
from ibc.device import keep_freed_memory, resolve_device
from ibc.json_report import write_json

if TYPE_CHECKING:
    from ibc.codes import CodeSet
    from ibc.config import Config
    from ibc.data.list_file import ImageList
    from ibc.network import IBC

EXAMPLE = """
python fea_extraction.py --config configs/imagenet100.yaml \\
    --checkpoint outputs/imagenet100/checkpoints/checkpoint_00050000.pt --save_name test
python fea_extraction.py --config configs/imagenet100.yaml --checkpoint checkpoint_50000.pt \\
    --images ~/Pictures --save_name pictures
"""


def build_parser() -> argparse.ArgumentParser:
    parser = command_parser("Write the codes of a list of images (or of any folder) with the labels and the rule "
                            "matrix to results/<model_name>/<save_name>.npz and .mat.", EXAMPLE)
    parser.add_argument("--config", required=True, metavar="FILE", help="YAML configuration of the model and its data")
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


def main(args: argparse.Namespace) -> None:
    from ibc.config import load_config
    from ibc.errors import input_error

    if args.max_num is not None and args.max_num < 1:
        raise input_error("--max_num", str(args.max_num), "at least 1")
    if Path(args.save_name).name != args.save_name or args.save_name in ("", ".."):
        raise input_error("--save_name", f"'{args.save_name}'", "a plain file name",
                          "choose the folder by --output_path")
    config = load_config(args.config, args.overrides)
    config.require("model_name")
    images = images_of(args, config)
    device = resolve_device(args.device)
    keep_freed_memory(device)

    import numpy as np

    from ibc.checkpoint import find_checkpoint, load_model
    from ibc.extraction import encode_images
    from ibc.processes import processes

    checkpoint = find_checkpoint(args.checkpoint)
    with processes(device) as device:
        model = load_model(checkpoint, config.model).to(device)
        start = time.perf_counter()
        encoded = encode_images(model, config, images, device, resize_always=None if args.images is None else True,
                                skip_bad=args.skip_bad_images)
        rate = len(images) / (time.perf_counter() - start)
    if encoded is None:  # the main process of several writes
        return
    for bad in encoded.bad:
        print(f"skipped: {bad}", file=sys.stderr)
    if not np.isfinite(encoded.codes).all():
        raise input_error(checkpoint, "weights that give codes which are not finite", "finite numbers",
                          "take another checkpoint")
    if not len(encoded.codes):
        raise input_error(args.images or config.source, "no readable image", "at least one")

    from ibc.codes import CodeSet, save_codes

    say = speaker(args.json_path)
    kept = images.subset(encoded.indices)
    codes = CodeSet(encoded.codes, kept.labels, model.grm.cpu().numpy(), kept.names)
    for ending in (".npz", ".mat"):
        path = Path(args.output_path, "results", config.model_name, args.save_name + ending)
        save_codes(path, codes)
        say(f"wrote {path}")
    accuracy = None if config.model.multi_label else code_accuracy(model, codes)
    if accuracy is not None:
        say(f"accuracy of the code classifier: {accuracy:.4f}")
    left_out = f", {len(encoded.bad)} unreadable ones left out" if encoded.bad else ""
    say(f"{len(codes)} images{left_out}, {codes.code_length} bits, {rate:.1f} images/s on {device}")
    if args.json_path:
        write_json(args.json_path, command="fea_extraction", seed=args.seed,
                   protocol={"split": None if args.images is not None else args.split, "folder": args.images,
                             "crop": list(config.crop), "decoder": config.decoder, "device": str(device)},
                   inputs=[args.config, checkpoint],
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


def images_of(args: argparse.Namespace, config: Config) -> ImageList:
    """The images that the flags name, at most ``--max_num`` of them."""
    import numpy as np

    from ibc.data.list_file import images_below
    from ibc.data.loader import test_images, train_images
    from ibc.errors import input_error

    if args.images is not None:
        if not args.images:
            raise input_error("--images", "''", "a folder")
        size = "new_size" if config.new_size_b is None else "new_size_b"
        config.require("crop_image_height", "crop_image_width", size)
        images = images_below(args.images)
    else:
        images = test_images(config) if args.split == "test" else train_images(config)
    return images if args.max_num is None else images.subset(np.arange(min(args.max_num, len(images))))
