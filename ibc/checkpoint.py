"""Checkpoints: written whole or not at all, read without running code from them.

A checkpoint is ``{'state_dict', 'iteration', 'config'}`` with the official parameter names, so
either implementation loads the other's; ``optimizer.pt`` beside it holds what a resumed run needs
besides (iteration, optimiser state, random state).
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor

from ibc.backbones.network import make_network
from ibc.backbones.table import BACKBONES
from ibc.config import ALEXNET, LARGEST_VALUES, ModelConfig
from ibc.errors import input_error
from ibc.files import atomic_write
from ibc.network import IBC, PLACES_CLASSES, alias_groups
from ibc.state_dict import plain_names, state_dict_of
from ibc.torch_file import read_torch_file

NAME = "checkpoint_{:08d}.pt"
PATTERN = re.compile(r"checkpoint_?(\d+)\.pt")
OPTIMIZER = "optimizer.pt"
OFFICIAL_PARTS = ("GRM", "enc_style")  # how the official names of weights begin
TRUNK = "enc_style.conv_basic."
# What codes and concept maps depend on: not the classifiers, the rule matrix, and second names of shared weights.
CENTRE = "enc_style.centre"  # of a backbone of the table
CODE_WEIGHTS = (TRUNK, "enc_style.conv_last.", "enc_style.pre_hash_layer.", "enc_style.hash_layer.", CENTRE)


def save_file(path: Path, content: dict[str, Any]) -> None:
    """torch.save, aside and then renamed. Raises OSError where it cannot be written."""
    try:
        with atomic_write(path) as handle:
            torch.save(content, handle)
    except RuntimeError as error:
        if "inline_container" not in str(error):  # torch's writer, which makes this of a full disk
            raise
        if isinstance(error.__context__, OSError):  # what it met
            raise OSError(error.__context__.errno, error.__context__.strerror, os.fspath(path)) from None
        raise OSError(errno.EIO, f"could not be written ({str(error).splitlines()[0]})", os.fspath(path)) from None


def save_checkpoint(folder: str | os.PathLike, model: IBC, iteration: int, config: dict[str, Any],
                    objective: Mapping[str, Tensor] | None = None) -> Path:
    """Write ``checkpoint_%08d.pt`` with all official names; returns its path.

    objective: weights of an objective's own layers, if it has any. They lie beside ``state_dict``, which official code
    loads as it is.
    """
    path = Path(folder, NAME.format(iteration))
    beside = {"objective": dict(objective)} if objective else {}
    save_file(path, {"state_dict": model.state_dict(), "iteration": iteration, "config": config, **beside})
    return path


def prune(folder: str | os.PathLike, keep_last: int, current: int) -> None:
    """Delete all but ``keep_last`` checkpoints (0: keep all): that of update ``current``, and the newest others."""
    if keep_last:
        others = [path for iteration, path in list_checkpoints(folder) if iteration != current]
        for path in others[: max(0, len(others) - keep_last + 1)]:
            path.unlink()


def list_checkpoints(folder: str | os.PathLike) -> list[tuple[int, Path]]:
    """(iteration, path) of the checkpoints in a folder, oldest first."""
    if not os.path.isdir(folder):
        return []
    found = [(PATTERN.fullmatch(entry.name), entry) for entry in Path(folder).iterdir()]
    return sorted((int(match[1]), path) for match, path in found if match)


def find_checkpoint(path: str | os.PathLike) -> Path:
    """``path`` itself, or the file of the same number written with 8 digits, or a folder's newest.

    Raises InputError, listing what is there, where none is.
    """
    path = Path(path)
    if path.is_file():
        return path
    if path.is_dir():
        present = list_checkpoints(path) or list_checkpoints(path / "checkpoints")
        if present:
            return present[-1][1]
        raise input_error(path, "no checkpoint in this folder", NAME.format(0), "train first")
    match = PATTERN.fullmatch(path.name)
    if match:
        for iteration, candidate in list_checkpoints(path.parent):
            if iteration == int(match[1]):
                return candidate
    near = ", ".join(item.name for _, item in list_checkpoints(path.parent)[-5:])
    raise input_error(path, "no such file", "a checkpoint", f"present: {near}" if near else None)


def read_file(path: str | os.PathLike, *, mmap: bool = False) -> dict[str, Any]:
    """A torch file as plain values and CPU tensors. Raises InputError on anything else."""
    content = read_torch_file(path, lazy=mmap)
    if not isinstance(content, dict):
        raise input_error(path, f"a {type(content).__name__}", "a dict with 'state_dict'")
    return content


def read_state_dict(path: str | os.PathLike, *, mmap: bool = False) -> dict[str, Tensor]:
    """The state dict of an IBC checkpoint, a bare one or that of a whole model: official names to CPU tensors."""
    weights = plain_names(state_dict_of(read_torch_file(path, lazy=mmap), path), OFFICIAL_PARTS)
    for name, value in weights.items():
        if value.nbytes > (held := value.untyped_storage().nbytes()):  # one number stands for many
            raise input_error(path, f"'{name}' of shape {tuple(value.shape)} in {held} bytes", "all of its numbers")
    return weights


def read_config(path: str | os.PathLike) -> dict[str, Any]:
    """The configuration that a checkpoint carries, as a nested dict; empty where it carries none."""
    content = read_torch_file(path, lazy=True)
    config = content.get("config") if isinstance(content, Mapping) else None
    return dict(config) if isinstance(config, Mapping) else {}


def crop_of(config: Mapping[str, Any], where: str | os.PathLike, do: str) -> tuple[int, int] | None:
    """(height, width) in pixels that a checkpoint's configuration names; None where it names none.

    where: the checkpoint. do: what to do about other values, for which InputError is raised.
    """
    sides: list[int] = []
    for key in ("crop_image_height", "crop_image_width"):
        side, most = config.get(key), LARGEST_VALUES[key]
        if side is not None and (type(side) is not int or not 1 <= side <= most):
            raise input_error(where, f"config.{key} {shorten(repr(side), 40)}", f"a number from 1 to {most}", do)
        sides += [] if side is None else [side]
    return (sides[0], sides[1]) if len(sides) == 2 else None


def load_weights(model: IBC, path: str | os.PathLike) -> None:
    """Copy a checkpoint's weights into ``model``. Raises InputError where they do not fit."""
    weights = read_state_dict(path)
    check_backbone(weights, model.name, path)
    model.load_state_dict(_fitting(model, weights, path))


def read_objective(path: str | os.PathLike, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that a checkpoint keeps for an objective. Raises InputError unless they are as ``wanted``."""
    if not wanted:
        return {}
    weights = read_file(path, mmap=True).get("objective")
    if not isinstance(weights, dict) or {name: tuple(getattr(value, "shape", ())) for name, value in weights.items()} \
            != {name: tuple(value.shape) for name, value in wanted.items()}:
        raise input_error(path, "no weights of this objective's own layers", ", ".join(wanted),
                          "set objective to that of the run, or start anew with --init_from")
    return weights


def load_model(path: str | os.PathLike, config: ModelConfig | None = None) -> IBC:
    """The network of a checkpoint, of this project or the official one, in eval mode on the CPU.

    No start values are drawn and no pretrained weights read. With ``config`` the checkpoint must
    agree with it; without, code length, classes and width are read from the tensors' shapes.
    Weights are mapped from the file: only those that a forward pass touches are read.
    """
    weights = read_state_dict(path, mmap=True)
    config = config or infer_model_config(weights, path)
    check_backbone(weights, config.backbone, path)
    with torch.device("meta"):
        model = make_network(config, init=None)
    model.load_state_dict(_fitting(model, weights, path), assign=True)
    return model.eval().requires_grad_(False)


def code_fingerprint(model: IBC) -> str:
    """SHA-256, as hex digits, of the weights that the codes depend on: tells whether two files are of one model."""
    return weights_digest(model, CODE_WEIGHTS)


def weights_digest(model: IBC, begin: tuple[str, ...]) -> str:
    """SHA-256, as hex digits, of the weights whose names begin with one of ``begin``."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        if name.startswith(begin):
            digest.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
            digest.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def infer_model_config(weights: Mapping[str, Tensor], source: str | os.PathLike) -> ModelConfig:
    """The network's backbone and sizes, read from the names and the shapes of a state dict."""
    try:
        classes, bits = weights["GRM"].shape
        width = weights["enc_style.hash_layer.weight"].shape[1]
        if (backbone := backbone_of(weights)) != ALEXNET:
            return ModelConfig(bits, classes, 0.0, pretrained="none", backbone=backbone)
        outputs = weights["enc_style.alexnet.classifier.6.weight"].shape[0]
    except (KeyError, ValueError, IndexError):
        raise input_error(source, "a state dict without IBC's layers", "an IBC checkpoint") from None
    return ModelConfig(bits, classes, 0.0, is_sun=outputs == PLACES_CLASSES, pretrained="none", fc_dim=width)


def backbone_of(weights: Mapping[str, Tensor]) -> str:
    """The name of the backbone that the weights of a checkpoint are of; AlexNet where they are of none of the table."""
    present = {name.removeprefix(TRUNK): tuple(value.shape) for name, value in weights.items()
               if name.startswith(TRUNK)}
    if not present or any(name.startswith("enc_style.alexnet.") for name in weights):
        return ALEXNET
    for name, entry in BACKBONES.items():
        if entry.width != weights["enc_style.hash_layer.weight"].shape[1]:
            continue
        with torch.device("meta"):
            wanted = {key: tuple(value.shape) for key, value in entry.trunk().state_dict().items()}
        if wanted == present:
            return name
    return ALEXNET


def check_backbone(weights: Mapping[str, Tensor], wanted: str, source: str | os.PathLike) -> None:
    """Raise InputError where weights are of another backbone than the configuration's."""
    found = any(name.startswith("enc_style.alexnet.") for name in weights)
    trunk = any(name.startswith(TRUNK) for name in weights)
    if (trunk and found != (wanted == ALEXNET)) or (trunk and not found and backbone_of(weights) != wanted):
        raise input_error(source, f"weights of the backbone {backbone_of(weights)}", f"{wanted}, from the config",
                          f"set model.backbone to {backbone_of(weights)}, or take another checkpoint")


def _fitting(model: IBC, weights: dict[str, Tensor], source: str | os.PathLike) -> dict[str, Tensor]:
    """``weights`` under all of the model's names, or InputError saying what does not fit."""
    grm = weights.get("GRM")
    if grm is not None and grm.ndim == 2 and grm.shape != model.GRM.shape:
        for axis, what, key in ((1, "code length", "code_len"), (0, "number of classes", "class_num")):
            if grm.shape[axis] != model.GRM.shape[axis]:
                raise input_error(source, f"{what} {grm.shape[axis]}", f"{model.GRM.shape[axis]}, from the config",
                                  f"set model.{key} to {grm.shape[axis]}, or take another checkpoint")
    wanted = model.state_dict()
    unknown = sorted(set(weights) - set(wanted))
    if unknown:
        raise input_error(source, f"the unknown weight '{unknown[0]}'", f"an IBC network of {grm_shape(model)}")
    complete: dict[str, Tensor] = {}
    for names in alias_groups(model):
        present = [name for name in names if name in weights]
        if not present:
            raise input_error(source, f"no weight '{names[0]}'", f"an IBC network of {grm_shape(model)}")
        value = weights[present[0]]
        for name in present:
            if not weights[name].is_floating_point():
                raise input_error(source, f"'{name}' of {weights[name].dtype}", "floats")
            if weights[name].shape != wanted[name].shape:
                raise input_error(source, f"'{name}' of shape {tuple(weights[name].shape)}",
                                  f"{tuple(wanted[name].shape)}", "check fc_dim, is_sun and the code length")
            same = weights[name].data_ptr() == value.data_ptr() or torch.equal(weights[name], value)
            if not same:
                raise input_error(source, f"'{name}' and '{present[0]}' that differ", "one layer under both names")
        complete.update(dict.fromkeys(names, value.float()))
    for name, buffer in model.named_buffers():  # of normalisations, and the centre of features
        kept = weights.get(name)
        if kept is None and name == CENTRE:  # a checkpoint from before there was one
            kept = torch.zeros(buffer.shape)
        if kept is None or kept.shape != buffer.shape or kept.is_floating_point() != buffer.is_floating_point():
            raise input_error(source, f"no '{name}' of shape {tuple(buffer.shape)}",
                              f"an IBC network of {grm_shape(model)}")
        complete[name] = kept.to(buffer.dtype)
    return {name: complete[name] for name in wanted}


def grm_shape(model: IBC) -> str:
    """"100 classes and 256 bits", for messages."""
    return f"{model.GRM.shape[0]} classes and {model.GRM.shape[1]} bits"
