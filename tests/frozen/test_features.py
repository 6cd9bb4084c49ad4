"""Kept features: what training from pixels would see, computed once, resumed row by row, never of other images."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from ibc import checkpoint
from ibc.backbones.backbone import Backbone
from ibc.backbones.network import make_network
from ibc.backbones.table import BACKBONES
from ibc.config import load_config
from ibc.data.loader import images_for_training
from ibc.errors import InputError
from ibc.frozen import features
from ibc.frozen.features_file import FeaturesFile, FeaturesWriter
from ibc.train_loop import RunFolders, train
from ibc.trainer import Trainer
from tests.small_run import error_of, make_run, run

CPU = torch.device("cpu")


@pytest.fixture
def tiny(monkeypatch):
    """A backbone of 5 channels in the place of Lite0."""
    entry = Backbone("Tiny", 5, 72, lambda: nn.Sequential(nn.Conv2d(3, 5, 24, 24), nn.BatchNorm2d(5), nn.ReLU()))
    monkeypatch.setitem(BACKBONES, "efficientnet_lite0", entry)
    monkeypatch.setattr(features, "multiplies_bf16", lambda device: False)
    return {"backbone": "efficientnet_lite0", "freeze": "backbone", "dropout": 0.0}


def setting(folder, model, **changes):
    path = make_run(folder, model=model, **changes)
    config = load_config(path)
    torch.manual_seed(1)
    return config, images_for_training(config), make_network(config.model)


def test_rows_are_the_features_of_the_centre_crops(tiny, tmp_path):
    config, images, network = setting(tmp_path, tiny, num_workers=0)
    kept = features.kept_features(network, config, images, tmp_path / "f", CPU)
    assert kept.shape == (40, 3, 3, 5)
    from ibc.data.loader import encoding_batches
    from ibc.normalise import normalise

    network.eval()
    pixels = torch.cat([batch.images for batch in encoding_batches(config, images, CPU)])
    with torch.no_grad():
        expected = network.features(normalise(pixels))
    assert torch.allclose(kept.rows(range(40)).float(), expected, atol=2e-3)
    assert torch.equal(kept.rows([7, 3]), kept.rows(range(40))[[7, 3]])
    assert np.load(kept.path).shape == kept.shape  # anything reads it


def test_batches_are_those_of_training_and_versions_take_turns(tiny, tmp_path):
    config, images, network = setting(tmp_path, {**tiny, "views": 2}, max_iter=11)
    batches = list(features.frozen_batches(network, config, images, 0, tmp_path / "f", CPU))
    usual = list(features.training_order(config, images, 0))
    assert [batch.indices.tolist() for batch in batches] == [[index for _, index in keys] for keys in usual]
    kept = features.kept_features(network, config, images, tmp_path / "f", CPU)
    for batch, keys in zip(batches, usual, strict=True):
        rows = [index + 40 * (epoch % 2) for epoch, index in keys]
        assert torch.equal(batch.images, kept.rows(rows))
        assert torch.equal(batch.labels, torch.from_numpy(images.labels)[batch.indices])
    assert not torch.equal(kept.rows(range(40)), kept.rows(range(40, 80)))


def test_an_interrupted_computation_goes_on(tiny, tmp_path, monkeypatch):
    config, images, network = setting(tmp_path, tiny)
    whole = features.kept_features(network, config, images, tmp_path / "whole", CPU)
    monkeypatch.setattr(features, "PART", 8)
    encode, calls = features.TrunkEncoder.__call__, []

    def stops(self, pixels):
        calls.append(len(pixels))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return encode(self, pixels)

    monkeypatch.setattr(features.TrunkEncoder, "__call__", stops)
    with pytest.raises(KeyboardInterrupt):
        features.kept_features(network, config, images, tmp_path / "f", CPU)
    part = tmp_path / "f" / (whole.path.name + ".part")
    part.write_bytes(part.read_bytes()[:-3])  # the last row is torn
    again = features.kept_features(network, config, images, tmp_path / "f", CPU)
    assert sum(calls[5:]) == 40 - 15 and not part.exists()
    assert torch.allclose(again.rows(range(40)), whole.rows(range(40)), atol=1e-3)


def test_other_images_weights_or_settings_are_not_taken_for_these(tiny, tmp_path):
    config, images, network = setting(tmp_path, tiny)
    key = features.features_key(network, config, images, CPU)
    assert features.features_key(network, config, images, CPU) == key
    keys = {key, features.features_key(network, config, images.subset(np.arange(39)), CPU)}
    for change in (["new_size=81"], ["model.views=2"], ["model.views=2", "seed=3"], ["resize=always"]):
        keys.add(features.features_key(network, load_config(config.source, change), images, CPU))
    (tmp_path / "images" / "003.jpg").write_bytes((tmp_path / "images" / "004.jpg").read_bytes())
    keys.add(features.features_key(network, config, images, CPU))
    with torch.no_grad():
        next(network.enc_style.conv_basic.parameters()).add_(1)
    keys.add(features.features_key(network, config, images, CPU))
    assert len(keys) == 8
    with torch.no_grad():  # the heads do not matter
        network.enc_style.hash_layer.weight.add_(1)
    assert features.features_key(network, config, images, CPU) in keys
    first = features.kept_features(network, config, images, tmp_path / "f", CPU)
    second = features.kept_features(network, load_config(config.source, ["new_size=81"]), images, tmp_path / "f", CPU)
    assert not first.path.exists() and second.path.exists()


def test_an_unreadable_image_stops_or_is_left_out(tiny, tmp_path):
    config, images, network = setting(tmp_path, {**tiny, "views": 2}, max_iter=20)
    (tmp_path / "images" / "005.jpg").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"005\.jpg"):
        features.frozen_batches(network, config, images, 0, tmp_path / "f", CPU)
    batches = list(features.frozen_batches(network, config, images, 0, tmp_path / "f", CPU, skip_bad=True))
    seen = torch.cat([batch.indices for batch in batches])
    assert 5 not in seen and len(set(seen.tolist())) == 39
    assert all(bool(batch.images.isfinite().all()) for batch in batches)


def test_a_file_of_another_kind_is_refused(tmp_path):
    with FeaturesWriter(tmp_path / "a.npy", (4, 1, 1, 2)) as file:
        file.append(np.ones((4, 1, 1, 2)))
        file.finish()
    content = (tmp_path / "a.npy").read_bytes()
    for number, damaged in enumerate((content[:-1], b"", content + b"x", b"PK" + content)):
        (tmp_path / f"{number}.npy").write_bytes(damaged)
        with pytest.raises(InputError, match="no whole file of kept features"):
            FeaturesFile(tmp_path / f"{number}.npy")


@pytest.mark.parametrize("objective", ["ibc", "ibc_plus"])
def test_a_run_trains_the_heads_and_resumes_bit_for_bit(tiny, tmp_path, objective):
    path = make_run(tmp_path, model={**tiny, "thr_g": 8}, objective=objective, align_w=1)
    config = load_config(path)
    assert train(config, tmp_path / "one", CPU) == 0
    folder = RunFolders(tmp_path / "one", "small")
    last = checkpoint.find_checkpoint(folder.checkpoints)
    (folder.checkpoints / "checkpoint_00000014.pt").rename(tmp_path / "wanted.pt")
    state = torch.load(folder.checkpoints / "optimizer.pt", weights_only=True)
    assert state["iteration"] == 14
    first = load_config(path, ["max_iter=10"])
    if objective == "ibc":  # no term that knows the length of the run
        assert train(first, tmp_path / "two", CPU) == 0
        assert train(config, tmp_path / "two", CPU, resume=True) == 0
        one, two = (torch.load(file, weights_only=True)["state_dict"] for file in (
            tmp_path / "wanted.pt", tmp_path / "two" / last.relative_to(tmp_path / "one")))
        assert all(torch.equal(value, two[name]) for name, value in one.items())
    start = Trainer(config, pretrained=False).model.state_dict()
    trained = torch.load(tmp_path / "wanted.pt", weights_only=True)["state_dict"]
    assert all(torch.equal(value, start[name]) for name, value in trained.items() if name.startswith(checkpoint.TRUNK))
    assert not torch.equal(trained["GRM"], start["GRM"])
    kept = FeaturesFile(next((folder.run / "features").glob("*.npy")))
    assert torch.allclose(trained[checkpoint.CENTRE], features.pooled_features(kept, np.arange(40)).mean(dim=0))


def test_the_centre_is_that_of_the_checkpoint_a_run_starts_from(tiny, tmp_path):
    config, images, network = setting(tmp_path, tiny)
    network.enc_style.centre.fill_(7)
    features.frozen_batches(network, config, images, 0, tmp_path / "f", CPU, centre=False)
    assert (network.enc_style.centre == 7).all()
    features.frozen_batches(network, config, images, 0, tmp_path / "f", CPU)
    assert not (network.enc_style.centre == 7).any()


def test_a_frozen_alexnet_trains_from_its_kept_features(tmp_path, monkeypatch):
    path = make_run(tmp_path, model={"freeze": "backbone"}, max_iter=5)
    assert train(load_config(path), tmp_path, CPU) == 0
    kept, = (tmp_path / "outputs/small/features").glob("*.npy")
    assert re.fullmatch(r"[0-9a-f]{16}\.npy", kept.name) and FeaturesFile(kept).shape == (40, 6, 6, 256)


def test_the_command_has_a_flag(tiny, tmp_path):
    path = make_run(tmp_path, model={"backbone": "efficientnet_lite0"}, max_iter=5)
    found = run("ibc/commands/train.py", "--config", path, "--freeze", "--output_path", tmp_path, "--device", "cpu")
    assert found.returncode == 0, found.stderr
    assert list((tmp_path / "outputs/small/features").glob("*.npy"))
    assert "freeze: backbone" in (tmp_path / "outputs/small/config.yaml").read_text()
    (tmp_path / "images" / "005.jpg").write_bytes(b"no image")
    assert "005.jpg" in error_of(run("ibc/commands/train.py", "--config", path, "--freeze", "--output_path",
                                     tmp_path / "b", "--device", "cpu"))
