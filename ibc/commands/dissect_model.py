"""The model that ``ibc dissect`` is to take: its title, its files, the image size that it was trained at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ibc.checkpoint import crop_of, find_checkpoint, load_model, read_config
from ibc.commands.dissect_defaults import DissectDefaults
from ibc.commands.dissect_flags import DissectOptions
from ibc.config import load_config
from ibc.dissection.encoders import CONCEPT_LAYER, Encoder, IBCEncoder
from ibc.dissection.settings import IMAGENET
from ibc.errors import input_error
from ibc.foreign_names import plain_name
from ibc.objectives.table import OBJECTIVES
from ibc.ready_configs import find_config


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from.

    title: its name for people. output: default folder of the results. files: what it is made of.
    crop: (height, width) in pixels that it was trained at, if known. load: builds the encoder.
    remark: what the person at the keyboard should know of it, if anything.
    """

    title: str
    output: Path
    files: list[Path]
    crop: tuple[int, int] | None
    load: Callable[[], Encoder]
    remark: str | None = None


def model_source(options: DissectOptions, defaults: DissectDefaults) -> ModelSource:
    """The model of the flags, else that of the defaults. Raises InputError where flags disagree or none names one."""
    if options.model and options.checkpoint:
        raise input_error("--model", "a --checkpoint beside it", "one of the two")
    network = options.model or (None if options.checkpoint else defaults.network)
    if network:
        return _torchvision_source(network, options, defaults)
    return _checkpoint_source(options, defaults)


def _checkpoint_source(options: DissectOptions, defaults: DissectDefaults) -> ModelSource:
    for flag, value in (("--layer", options.layer), ("--weights", options.weights)):
        if value:
            raise input_error(flag, "an IBC checkpoint", "--model with it",
                              f"the layer of a checkpoint is always {CONCEPT_LAYER}")
    checkpoint = options.checkpoint or defaults.checkpoint
    if checkpoint is None:
        if defaults.settings_file:
            raise input_error("settings.py", "MODEL_FILE = None with CUSTOM", "a checkpoint",
                              "give --checkpoint or --model")
        raise input_error("--checkpoint", "neither it nor --model", "one of the two")
    path = find_checkpoint(checkpoint)
    config_file = find_config(options.config) if options.config else None
    config = load_config(config_file).as_dict() if config_file else read_config(path)
    kind = OBJECTIVES.get(str(config.get("objective")))
    if kind is not None and not kind.HAS_FILTERS:
        raise input_error(path, f"a model of the objective {config['objective']}, which trains no concept filters",
                          "one of ibc or ibc_plus")
    of_flags = bool(options.checkpoint)
    name = str(config.get("model_name") or (None if of_flags else defaults.model_name) or path.stem)
    if not options.output and (of_flags or not defaults.output):
        output = defaults.results / plain_name(name, path, "config.model_name", "give the folder by --output")
    else:
        output = defaults.output or Path()
    crop = None if options.image_size else crop_of(config, path, "give the size by --config or --image_size")
    return ModelSource(name, output, [path] + ([config_file] if config_file else []), crop,
                       lambda: IBCEncoder(load_model(path)))


def _torchvision_source(name: str, options: DissectOptions, defaults: DissectDefaults) -> ModelSource:
    of_flags = bool(options.model)
    layers = list(dict.fromkeys(options.layer or ([] if of_flags else defaults.layers)))
    if not layers:
        raise input_error("--model", f"{name} without a layer", "--layer NAME", "for example --layer layer4")
    weights = options.weights or (None if of_flags else defaults.weights) or None
    output = defaults.results / name if of_flags or not defaults.output else defaults.output
    titles = {None: f"{name} with random weights", IMAGENET: f"{name} trained on ImageNet"}
    remark = None if weights else (f"{name} has random weights; --weights FILE takes those of a file, "
                                   f"--weights {IMAGENET} those that torchvision publishes")

    def load() -> Encoder:
        from ibc.dissection.torchvision_encoder import torchvision_encoder

        return torchvision_encoder(name, layers, weights)

    return ModelSource(titles.get(weights, name), output, [Path(weights)] if weights and weights != IMAGENET else [],
                       None, load, remark)
