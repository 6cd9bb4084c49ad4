"""The model that the flags or settings.py name: its title, its files, the image size it was trained at."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibc.dissection.encoders import CONCEPT_LAYER, IMAGENET, Encoder, IBCEncoder, torchvision_encoder
from ibc.errors import input_error
from netdissect_lite import settings as settings_module

HERE = Path(settings_module.__file__).parent


@dataclass
class Source:
    """Where a model comes from. crop: (height, width) it was trained at, if known. load: builds it.

    remark: what the person at the keyboard should know of it.
    """

    title: str
    default_output: Path
    files: list[Path]
    crop: tuple[int, int] | None
    load: Callable[[], Encoder]
    remark: str | None = None


def model_source(args: argparse.Namespace, values: dict[str, Any]) -> Source:
    """args: flags of main.py. values: upper-case names of settings.py. Raises InputError where they disagree."""
    if args.model and args.checkpoint:
        raise input_error("--model", "a --checkpoint beside it", "one of the two")
    custom = args.checkpoint or (values["CUSTOM"] and not args.model)
    return _ibc(args, values) if custom else _torchvision(args, values)


def _ibc(args: argparse.Namespace, values: dict[str, Any]) -> Source:
    from ibc.checkpoint import find_checkpoint, load_model, read_file
    from ibc.config import load_config

    for flag in ("layer", "weights"):
        if getattr(args, flag):
            raise input_error(f"--{flag}", "an IBC checkpoint", "--model with it",
                              f"the layer of a checkpoint is always {CONCEPT_LAYER}")
    if not args.checkpoint and values["MODEL_FILE"] is None:
        raise input_error("settings.py", "MODEL_FILE = None with CUSTOM", "a checkpoint",
                          "give --checkpoint or --model")
    path = find_checkpoint(args.checkpoint or HERE / values["MODEL_FILE"])
    config = load_config(args.config).as_dict() if args.config else read_file(path, mmap=True).get("config") or {}
    height, width = config.get("crop_image_height"), config.get("crop_image_width")
    name = config.get("model_name") or (path.stem if args.checkpoint else values["MODEL"])
    output = HERE / (f"result/{name}" if args.checkpoint else values["OUTPUT_FOLDER"])
    return Source(name, output, [path] + ([Path(args.config)] if args.config else []),
                  (height, width) if height and width else None, lambda: IBCEncoder(load_model(path)))


def _torchvision(args: argparse.Namespace, values: dict[str, Any]) -> Source:
    name = args.model or values["MODEL"]
    layers = list(dict.fromkeys(args.layer or ([] if args.model else values["FEATURE_NAMES"])))
    if not layers:
        raise input_error("--model", f"{name} without a layer", "--layer NAME", "for example --layer layer4")
    weights = args.weights or (None if args.model or not values["MODEL_FILE"] else values["MODEL_FILE"])
    if weights and not args.weights and weights != IMAGENET:
        weights = str(HERE / weights)
    output = HERE / (f"result/{name}" if args.model else values["OUTPUT_FOLDER"])
    titles = {None: f"{name} with random weights", IMAGENET: f"{name} trained on ImageNet"}
    remark = None if weights else (f"{name} has random weights; --weights FILE takes those of a file, "
                                   f"--weights {IMAGENET} those that torchvision publishes")
    return Source(titles.get(weights, name), output, [Path(weights)] if weights and weights != IMAGENET else [], None,
                  lambda: torchvision_encoder(name, layers, weights), remark)
