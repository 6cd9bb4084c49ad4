"""The flags of ``ibc dissect``, their typed form, and how flags and defaults together make the settings."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from ibc.commands.command import CommandParser, add_device_flag, add_json_flag, add_seed_flag, command_parser
from ibc.commands.dissect_defaults import DissectDefaults
from ibc.dissection.settings import IMAGENET, DissectionSettings
from ibc.errors import input_error

EXAMPLE = """
{prog} --checkpoint outputs/imagenet100/checkpoints --broden datasets/broden1_227
{prog} --model resnet18 --layer layer3 --layer layer4 --weights resnet18.pth \\
    --broden datasets/broden1_224 --output dissections/resnet18
{prog} --compare dissections/a dissections/b --output dissections/a-b
"""
MOST_UNITS = 10**6
QUANTILE, NULL = DissectionSettings.quantile, DissectionSettings.null


@dataclass(frozen=True)
class DissectOptions:
    """The flags of ``ibc dissect``; None where a flag was not given."""

    checkpoint: str | None
    config: str | None
    model: str | None
    layer: list[str] | None
    weights: str | None
    broden: str | None
    index: str | None
    categories: str | None
    image_size: int | None
    units: str | None
    quantile: float | None
    quantile_position: str | None
    thresholds: str | None
    normalization: str | None
    null: int | None
    seed: int
    output: str | None
    score_threshold: float | None
    top: int | None
    compare: list[str] | None
    json_path: str | None
    device: str
    memory: str | None
    batch_size: int | None
    workers: int | None


def build_parser(prog: str | None = None, *, settings_file: bool = False) -> CommandParser:
    """settings_file: whether a settings file of the official tool stands behind the flags."""
    without = " Without flags: as settings.py says." if settings_file else ""
    results = "netdissect_lite/result/NAME" if settings_file else "dissection/NAME"
    parser = command_parser("Name the filters (and so the bits) of a network by the concepts they respond to: IoU of "
                            f"masks and label maps on Broden-format data, against chance.{without}", EXAMPLE, prog)
    model = parser.add_argument_group("model")
    model.add_argument("--checkpoint", metavar="FILE", help="IBC checkpoint, of this project or the official one, or "
                       "a folder whose newest is taken")
    model.add_argument("--config", metavar="FILE", help="YAML configuration to take the image size from, for a "
                       "checkpoint that does not carry its own")
    model.add_argument("--model", metavar="NAME", help="a torchvision network instead, such as resnet18")
    model.add_argument("--layer", metavar="NAME", action="append", help="its layer (repeat for several)")
    model.add_argument("--weights", metavar="FILE", help=f"its weights: a file, or '{IMAGENET}' for those that "
                       "torchvision publishes (default: random ones)")
    data = parser.add_argument_group("data")
    data.add_argument("--broden", metavar="DIR", help="folder in Broden format")
    data.add_argument("--index", metavar="FILE", help="index file in it, such as index_sm.csv")
    data.add_argument("--categories", metavar="A,B", help="categories to name units by")
    data.add_argument("--image_size", type=int, metavar="N", help="encode at N x N pixels (default: the crop of the "
                      "config, else as stored)")
    method = parser.add_argument_group("method")
    method.add_argument("--units", metavar="1-16,40", help="dissect these units only (default: all)")
    method.add_argument("--quantile", type=float, metavar="Q", help="a unit fires where its response is among this "
                        f"upper fraction (default: {QUANTILE})")
    method.add_argument("--quantile_position", choices=["official", "exact"],
                        help=f"official: the 994/999 quantile for Q = {QUANTILE}; exact: 1 - Q (default: official)")
    method.add_argument("--thresholds", metavar="FILE", help="take these (a quantile.npy) instead of the quantile; "
                        "one layer")
    method.add_argument("--normalization", choices=["official", "training"],
                        help="pixels as the official dissection scales them, or as in training (default: official)")
    method.add_argument("--null", type=int, metavar="N", help=f"chance pairings (default: {NULL}; 0: none)")
    add_seed_flag(parser, DissectionSettings.seed, "of the pairings")
    output = parser.add_argument_group("output")
    output.add_argument("--output", metavar="DIR", help=f"folder of the results (default: {results})")
    output.add_argument("--score_threshold", type=float, metavar="IOU", help="IoU from which a unit counts as "
                        f"interpretable (default: {DissectionSettings.score_threshold})")
    output.add_argument("--top", type=int, metavar="N",
                        help=f"images shown for each unit (default: {DissectionSettings.top_n})")
    output.add_argument("--compare", nargs="+", metavar="RUN", help="compare results folders instead of dissecting")
    add_json_flag(parser)
    machine = parser.add_argument_group("machine")
    add_device_flag(parser)
    machine.add_argument("--memory", metavar="SIZE", help="for feature maps and tables; what does not fit is encoded "
                         "twice, with the same result (default: 384M, on a GPU 8G)")
    machine.add_argument("--batch_size", type=int, metavar="N",
                         help=f"images encoded together (default: {DissectionSettings.batch_size})")
    machine.add_argument("--workers", type=int, metavar="N", help="processes that decode, at most one a core "
                         f"(default: {DissectionSettings.workers})")
    return parser


def settings_from(options: DissectOptions, defaults: DissectDefaults, crop: tuple[int, int] | None,
                  output: str) -> DissectionSettings:
    """Flags over defaults. crop: (height, width) that the model was trained at, for want of another image size."""
    given: dict[str, Any] = {
        "quantile": options.quantile, "quantile_position": options.quantile_position,
        "normalization": options.normalization, "score_threshold": options.score_threshold, "top_n": options.top,
        "categories": None if options.categories is None else tuple(
            dict.fromkeys(name.strip() for name in options.categories.split(",") if name.strip())),
        "image_size": (defaults.settings.image_size or crop) if options.image_size is None else (
            options.image_size, options.image_size),
        "units": number_ranges(options.units, "--units") if options.units else None, "null": options.null,
        "seed": options.seed, "batch_size": options.batch_size, "workers": options.workers,
        "memory": memory_size(options.memory) if options.memory else None, "output": output,
        "device": None if options.device == "auto" else options.device,
    }
    return dataclasses.replace(defaults.settings,
                               **{name: value for name, value in given.items() if value is not None})


def memory_size(text: str) -> int:
    """Bytes of "512M", "2G" or a plain number. Raises InputError on anything else."""
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    scale = units.get(text[-1:].upper(), 1)
    try:
        value = float(text[:-1] if scale > 1 else text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise input_error("--memory", f"'{text}'", "a size such as 512M or 2G")
    return int(value * scale)


def number_ranges(text: str, flag: str) -> tuple[int, ...]:
    """"1-16,40" as sorted numbers, each once. Raises InputError, which names ``flag``, on anything else."""
    numbers: set[int] = set()
    for part in text.split(","):
        low, _, high = part.strip().partition("-")
        try:
            first, last = int(low), int(high or low)
        except ValueError:
            raise input_error(flag, f"'{part}'", "numbers and ranges, such as 1-16,40") from None
        if not 1 <= first <= last <= MOST_UNITS:
            raise input_error(flag, f"'{part}'", f"numbers from 1 to {MOST_UNITS:,}, the smaller one first")
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))
