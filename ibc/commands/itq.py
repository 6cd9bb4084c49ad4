"""``ibc itq``: a model of photographs without labels, from a frozen backbone's features, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ibc.commands.command import Command, CommandParser, add_config_flag, add_device_flag, command_parser
from ibc.device import keep_freed_memory, resolve_device
from ibc.errors import input_error
from ibc.ready_configs import find_config
from ibc.screen import show

GROUPS, NAMES = "groups.txt", "group_names.txt"
EXAMPLE = """
{prog} --config mine/config.yaml --output_path mine
"""


@dataclass(frozen=True)
class ItqOptions:
    """The flags of ``ibc itq``."""

    config: str
    output_path: str
    overrides: list[str]
    skip_bad_images: bool
    device: str


def build_parser(prog: str | None = None) -> CommandParser:
    """The flags of ``ibc itq``, with their help."""
    parser = command_parser(
        "Make a checkpoint for images that have no labels: the bits are rotated principal components (PCA, ITQ) of the "
        "features of the configuration's backbone. Images are put into provisional groups by clustering. Neither bits "
        f"nor groups have a meaning that anybody gave them. Writes the checkpoint of update 0, and {GROUPS} and "
        f"{NAMES} into the data folder.", EXAMPLE, prog)
    add_config_flag(parser, "YAML configuration; class_num is the number of groups")
    parser.add_argument("--output_path", default=".", metavar="DIR",
                        help="outputs/ goes below this folder (default: .)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                        help="replace a value of the configuration (repeatable)")
    parser.add_argument("--skip_bad_images", action="store_true", help="leave unreadable images out")
    add_device_flag(parser)
    return parser


def run(options: ItqOptions) -> None:
    """Compute the features, fit the heads, and write checkpoint and groups."""
    from ibc.config import ALEXNET, load_config

    config = load_config(find_config(options.config), options.overrides)
    config.require("model_name")
    if config.model.backbone == ALEXNET or config.model.freeze != "backbone":
        raise input_error(config.source, f"backbone: {config.model.backbone}, freeze: {config.model.freeze}",
                          "another backbone than alexnet, and freeze: backbone",
                          "as in --set model.backbone=efficientnet_lite0 --set model.freeze=backbone")
    device = resolve_device(options.device)
    keep_freed_memory(device)

    import numpy as np
    import torch

    from ibc.backbones.network import BackboneNetwork, make_network
    from ibc.checkpoint import save_checkpoint
    from ibc.data.list_file import write_list
    from ibc.data.loader import images_for_training
    from ibc.files import atomic_write
    from ibc.frozen.features import kept_features, pooled_features
    from ibc.frozen.unlabelled import fit_unlabelled
    from ibc.pretrained import load_pretrained
    from ibc.train_loop import RunFolders

    images = images_for_training(config)
    torch.manual_seed(config.seed)
    model = make_network(config.model, config.init)
    assert isinstance(model, BackboneNetwork)
    load_pretrained(model, config.model)
    folders = RunFolders(Path(options.output_path), config.model_name)
    features = kept_features(model.to(device), config, images, folders.run / "features", device,
                             skip_bad=options.skip_bad_images)
    good = np.flatnonzero(features.readable()[: len(images)])
    found = fit_unlabelled(model.cpu(), pooled_features(features, good), config.seed)
    path = save_checkpoint(folders.checkpoints, model, 0, config.as_dict())
    show(f"wrote {path}")
    names = [images.names[place] for place in good]
    write_list(Path(config.data_folder, GROUPS), names, found.groups[:, None].tolist())
    with atomic_write(Path(config.data_folder, NAMES), "w") as handle:
        handle.writelines(f"group {number + 1} (found by clustering)\n" for number in range(config.model.class_num))
    sizes = np.bincount(found.groups, minlength=config.model.class_num)
    show(f"{len(good)} images in {config.model.class_num} provisional groups of {sizes.min()} to {sizes.max()}: "
         f"{Path(config.data_folder, GROUPS)}")
    show(f"{config.model.code_len} bits keep {1 - found.lost:.0%} of what their components hold; they are directions "
         "in which the photographs differ, not concepts")


COMMAND = Command(build_parser, ItqOptions, run)
