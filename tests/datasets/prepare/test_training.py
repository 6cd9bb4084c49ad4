"""What is prepared can be trained on: one update on a miniature of every set of images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ibc.config import load_config
from ibc.data.loader import images_for_training, training_batches
from ibc.trainer import Trainer
from tests.datasets import replicas
from tests.datasets.preparing import class_tree, prepare
from tests.datasets.replicas import write_tree


def prepared(name: str, folder: Path, ilsvrc: Path) -> Path:
    """Prepare a miniature of each data set; its config."""
    source, out = folder / "src", folder / "out"
    source.mkdir()
    if name.startswith("imagenet"):
        prepare("imagenet150k" if name == "imagenet" else "imagenet100", out, "--source", ilsvrc)
    elif name == "sun_attr":
        replicas.write_sun(source)
        prepare("sun", out, "--source", source)
    elif name == "cifar10":
        replicas.write_cifar10(source / "cifar-10-python.tar.gz")
        prepare("cifar10", out, "--source", source / "cifar-10-python.tar.gz")
    elif name == "caltech101":
        replicas.write_caltech101(source / "caltech-101.zip")
        prepare("caltech101", out, "--source", source / "caltech-101.zip")
    else:
        write_tree(source, class_tree(8))
        (folder / "l.csv").write_text("image,sky,sea\n" + "".join(f"{name},1,{len(name) % 2}\n"
                                                                  for name in class_tree(8)))
        prepare("folder", source, out, *(("--labels", folder / "l.csv") if name == "labels" else ()),
                *(("--link",) if name == "linked" else ()))
        return out / "config.yaml"
    return Path("configs") / f"{name}.yaml"


@pytest.mark.parametrize("name", ["imagenet", "imagenet100", "sun_attr", "cifar10", "caltech101", "folder", "labels",
                                  "linked"])
def test_a_training_step_follows_preparation(tmp_path, root, ilsvrc, name):
    file = prepared(name, tmp_path, ilsvrc)
    own = ["model.pretrained=none", "model.fc_dim=64", "model.code_len=16", "num_workers=0", "max_iter=1"]
    if not file.is_absolute():  # a shipped config: its folder, and what the miniature has less of
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
        own += [f"data_folder={tmp_path / 'out'}", f"model.class_num={manifest['class_num']}", "batch_size=8"]
    config = load_config(root / file, own)
    batch = next(iter(training_batches(config, images_for_training(config), 0, torch.device("cpu"))))
    losses = Trainer(config).step(batch.images, batch.labels)
    assert torch.isfinite(losses["loss_total"])
