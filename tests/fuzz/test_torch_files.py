"""Checkpoints, states of training and weights of other programs, whatever is damaged in them or of another kind."""

import argparse
import io
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import nn
from torchvision import models

from ibc.checkpoint import find_checkpoint, load_model, read_config, read_objective
from ibc.config import ModelConfig, config_from_dict, load_config
from ibc.dissection.torchvision_weights import filled_network
from ibc.network import IBC
from ibc.state_dict import state_dict_of
from ibc.torch_file import read_torch_file
from ibc.train_state import restore_training, training_state
from ibc.trainer import Trainer
from tests.fuzz.damage import damaged, damaged_value, odd_values
from tests.fuzz.harness import each, fuzzed
from tests.small_run import make_run

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch, on odd kinds of tensors


def saved(content: Any, **more: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **more)
    return buffer.getvalue()


NET = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Sequential(nn.Linear(2, 3)))
WEIGHTS = NET.state_dict()
BESIDE = {"state_dict": WEIGHTS, "best": np.float64(0.7), "args": argparse.Namespace(lr=0.1, path=Path("a")),
          "array": np.arange(3), "epoch": 3, "rate": 0.1, "flags": [True, None], "names": {"a": "é"}}
CONTENTS = (WEIGHTS, BESIDE, {"model": NET, "epoch": 2}, NET)
FILES = [saved(content) for content in CONTENTS]
OLD_FILES = [saved(content, _use_new_zipfile_serialization=False) for content in CONTENTS[:2]]


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@cache
def parts(number: int) -> dict[str, bytes]:
    return members(FILES[number])


def read_any(file: Path) -> None:
    state_dict_of(read_torch_file(file), file)


@fuzzed(damaged(FILES) | damaged(OLD_FILES))
def test_torch_file(data: bytes, folder: Path) -> None:
    (folder / "a.pt").write_bytes(data)
    each(lambda: read_any(folder / "a.pt"), lambda: read_torch_file(folder / "a.pt", lazy=True))


@st.composite
def packed_anew(draw: st.DrawFn) -> bytes:
    """A torch file whose pickle, or another member, is damaged before the archive is made: its checksums are right."""
    content = dict(parts(draw(st.integers(0, len(FILES) - 1))))
    pickled = next(name for name in content if name.endswith("data.pkl"))
    chosen = draw(st.sampled_from([pickled] * 5 + sorted(content)))
    content[chosen] = draw(damaged([content[chosen]], header=len(content[chosen])))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", draw(st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))) as archive:
        for name, part in content.items():
            archive.writestr(name, part)
    return buffer.getvalue()


@fuzzed(packed_anew())
def test_torch_pickle(data: bytes, folder: Path) -> None:
    (folder / "a.pt").write_bytes(data)
    each(lambda: read_any(folder / "a.pt"), lambda: read_torch_file(folder / "a.pt", lazy=True))


def odd_tensors() -> st.SearchStrategy[Any]:
    return st.sampled_from([
        torch.ones(3), torch.tensor(1.0), torch.ones(0, 8), torch.ones(2, 2, 2), torch.ones(4, 8).half(),
        torch.ones(4, 8).long(), torch.ones(4, 8) + 1j, torch.ones(4, 8).to_sparse(),
        torch.ones(1).expand(10**6, 10**6), torch.ones(1).expand(10**9), torch.full((4, 8), float("nan")),
        torch.ones(4, 8, device="meta"),
        torch.ones(8, 4).T, torch.ones(4, 8, requires_grad=True), torch.ones(4, 8) > 0, np.ones((4, 8))])


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """The nested value with odd parts and odd tensors in it."""
    value = draw(damaged_value([value], most=2))
    for _ in range(draw(st.integers(0, 2))):
        holders = [part for part in walk(value) if isinstance(part, dict) and part]
        if holders:
            holder = draw(st.sampled_from(holders))
            holder[draw(st.sampled_from(list(holder)))] = draw(odd_tensors())
    return value


def walk(value: Any) -> Any:
    yield value
    if isinstance(value, dict):
        for part in value.values():
            yield from walk(part)


CONFIG = {"model": {"code_len": 8, "class_num": 4, "thr_g": 5.0, "pretrained": "none", "fc_dim": 4}, "lr": 1e-3,
          "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0, "init": "kaiming", "hash_std_w": 1.0, "hash_mask_w": 1.0,
          "GRM_w": 1.0, "align_w": 1.0, "real_std_w": 1.0, "real_mask_w": 1.0, "sparse_w": 1.0, "batch_size": 8,
          "lr_policy": "constant", "model_name": "small", "crop_image_height": 64, "crop_image_width": 64}


@cache
def checkpoint() -> dict[str, Any]:
    weights = dict(IBC(ModelConfig(8, 4, 5.0, pretrained="none", fc_dim=4)).state_dict())
    for name, value in weights.items():
        if value.numel() > 10_000:
            weights[name] = torch.zeros(1).expand(value.shape).clone()
    return {"state_dict": weights, "iteration": 5, "config": CONFIG, "objective": {"proxies": torch.ones(4, 8)}}


@fuzzed(st.deferred(lambda: changed(checkpoint())))
def test_checkpoint(value: Any, folder: Path) -> None:
    file = folder / "checkpoint_00000005.pt"
    file.write_bytes(saved(value))
    each(lambda: load_model(file), lambda: load_model(file, ModelConfig(8, 4, 5.0, pretrained="none", fc_dim=4)),
         lambda: config_from_dict(read_config(file), str(file)), lambda: find_checkpoint(folder))


@cache
def trainer() -> Trainer:
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(make_run(Path(folder), images=4))
    config.model.fc_dim = 4
    made = Trainer(config, pretrained=False)
    made.step(torch.randn(8, 3, 72, 72), torch.arange(8.0)[:, None] % 4)
    return made


@cache
def state() -> dict[str, Any]:
    return training_state(trainer())


@fuzzed(st.deferred(lambda: changed(state())))
def test_optimiser_state(value: Any, folder: Path) -> None:
    if isinstance(value, dict) and isinstance(value.get("iteration", 0), int):  # as the caller makes sure of
        restore_training(trainer(), value, "optimizer.pt")


@cache
def shuffle_net() -> dict[str, Any]:
    return {"state_dict": dict(models.shufflenet_v2_x0_5(weights=None, num_classes=3).state_dict())}


@fuzzed(st.deferred(lambda: changed(shuffle_net())), tries=6, megabytes=800)
def test_torchvision_weights(value: Any, folder: Path) -> None:
    (folder / "a.pt").write_bytes(saved(value))
    filled_network("shufflenet_v2_x0_5", state_dict_of(read_torch_file(folder / "a.pt"), "a.pt"), "a.pt")


@fuzzed(st.deferred(lambda: changed(checkpoint())) | odd_values())
def test_objective_weights(value: Any, folder: Path) -> None:
    (folder / "a.pt").write_bytes(saved(value))
    read_objective(folder / "a.pt", {"proxies": torch.ones(4, 8)})
