"""Studies on a frozen backbone: every objective and every code without training, from features computed once."""

import json

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from ibc.backbones.backbone import Backbone
from ibc.backbones.network import make_network
from ibc.backbones.table import BACKBONES
from ibc.codes import load_codes
from ibc.commands.study import COMMAND
from ibc.config import OBJECTIVE_NAMES, ModelConfig, load_config
from ibc.data.loader import images_for_training, training_batches
from ibc.errors import InputError
from ibc.frozen.post_hoc import POST_HOC, fit_post_hoc
from ibc.normalise import normalise
from ibc.study.plan import read_plan
from ibc.trainer import Trainer
from tests.small_run import make_run

CPU = torch.device("cpu")
WIDTH = 12
FROZEN = ["model.backbone=efficientnet_lite0", "model.freeze=backbone", "model.pretrained=none"]


@pytest.fixture
def tiny(monkeypatch):
    """A backbone of 12 channels in the place of Lite0."""
    def trunk():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, WIDTH, 24, 24), nn.BatchNorm2d(WIDTH), nn.ReLU())
    monkeypatch.setitem(BACKBONES, "efficientnet_lite0", Backbone("Tiny", WIDTH, 72, trunk))


def write_plan(folder, known, **changes):
    make_run(folder / "data", num_workers=0, snapshot_save_iter=2, log_iter=2)
    names = (folder / "data/train.txt").read_text().splitlines()
    (folder / "data/test.txt").write_text("\n".join(names[::-1]) + "\n")
    group = {"methods": list(known), "bits": [4], "updates": [2], "seeds": [1], **changes}
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump({"config": "data/config.yaml", "set": FROZEN, "methods": known,
                                    "groups": {"all": group}}))
    return path


@pytest.mark.parametrize("objective", OBJECTIVE_NAMES)
def test_an_update_from_kept_features_is_that_from_images(tiny, tmp_path, objective):
    path = make_run(tmp_path, objective=objective, plus={"nested_bits": [2], "contrast_bits": [2]})
    config = load_config(path, [*FROZEN, "model.dropout=0", "batch_size=40"])
    images = images_for_training(config)
    (batch,) = training_batches(load_config(path, [*FROZEN, "batch_size=40", "max_iter=1", "crop_image_height=80",
                                                   "crop_image_width=80"]), images, 0, CPU)
    losses, weights = [], []
    for kept in (False, True):
        trainer = Trainer(config)
        with torch.no_grad():
            seen = trainer.model.eval().features(normalise(batch.images)) if kept else batch.images
        trainer.model.train()
        losses.append(trainer.step(seen, batch.labels))
        weights.append(trainer.model.state_dict())
    assert all(torch.allclose(value, losses[1][name], rtol=1e-5) for name, value in losses[0].items())
    assert all(torch.allclose(value, weights[1][name], atol=1e-6) for name, value in weights[0].items())


def test_methods_share_the_features_of_a_frozen_backbone(tiny, tmp_path, capsys):
    methods = {"ibc": [], "csq": ["objective=csq"], "pca": ["codes=pca"]}
    plan, out = write_plan(tmp_path, methods), tmp_path / "out"
    assert COMMAND([str(plan), "-o", str(out), "--device", "cpu"]) == 0
    features = sorted((out / "features").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert [path.suffix for path in features] == [".npy", ".npy"]  # of the training and of the test list
    assert not list(out.glob("runs/*/outputs/*/features"))
    results = {found["method"]: found for found in json.loads((out / "results.json").read_text())}
    for name, found in results.items():
        scores = found["scores"]
        assert 0 < scores["map"]["worst"] <= scores["map"]["expected"] <= scores["map"]["best"] <= 1
        # Fewer than 1000 images: all relevant ones are found, and both divisors are the number of them.
        assert list(scores["map_at_1000"].values()) == pytest.approx([scores["map"]["expected"]] * 2)
        assert bool(scores["expert"]) == (name == "ibc") == (scores["alignment"] is not None)
    assert [found["updates"] for found in results.values()] == [2, 2, 0] and results["pca"]["ms_per_update"] is None
    table = (out / "table.md").read_text()
    assert "| mAP@1000 / min(1000, relevant) | mAP@1000 / found |" in table and "| pca | 4 | 0 |" in table
    # The codes of the test list are signs of the training list's principal components.
    train, test = (np.load(path).astype(np.float64).mean(axis=(1, 2)) for path in features)
    assert np.array_equal(train, test[::-1])
    components = np.linalg.svd(train - train.mean(axis=0), full_matrices=False)[2][:4]
    agree = (((test - train.mean(axis=0)) @ components.T > 0) == (
        load_codes(out / "runs/pca-4bits-0updates-seed1/codes.npz").bits > 0)).mean(axis=0)
    assert np.maximum(agree, 1 - agree).min() > 0.95  # a component may point either way
    # Gone on with, no features are computed again.
    capsys.readouterr()
    plan = write_plan(tmp_path, methods, methods=["pca"], seeds=[2])
    assert COMMAND([str(plan), "-o", str(out), "--device", "cpu"]) == 0
    assert "kept in" in capsys.readouterr().out


def test_codes_without_training_against_plain_numpy(tiny):
    random = np.random.default_rng(0)
    pooled = (random.normal(size=(300, WIDTH)) * np.linspace(3, 0.5, WIDTH) + 5).astype(np.float32)
    classes = torch.from_numpy(np.arange(300) % 3 - (np.arange(300) == 7) * 99)  # one image without a class
    centred = pooled - pooled.mean(axis=0)
    found = {}
    for kind in POST_HOC:
        config = ModelConfig(code_len=6, class_num=4, thr_g=1, backbone="efficientnet_lite0", pretrained="none")
        model = make_network(config)
        fit_post_hoc(model, torch.from_numpy(pooled), classes, kind, seed=3)
        maps = torch.from_numpy(pooled)[:, :, None, None]
        found[kind] = model.eval().codes_from(maps).detach().numpy() > 0.5
        filters = model.enc_style.conv_last(maps)[:, :, 0, 0].detach().numpy() > 0
        assert (filters == found[kind]).all()
        means = np.stack([found[kind][classes.numpy() == number].mean(axis=0) for number in range(3)])
        nearest = ((found[kind][:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
        named = model.classify_codes(torch.from_numpy(found[kind]).float()).argmax(dim=1).numpy()
        assert (nearest == named).mean() > 0.99 and named.max() < 3  # never the class without images
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :6]
    agree = (found["pca"] == (centred @ axes > 0)).mean(axis=0)
    assert np.maximum(agree, 1 - agree).min() > 0.99
    planes = torch.randn(6, WIDTH, generator=torch.Generator().manual_seed(3)).numpy()
    assert (found["lsh"] == (centred @ planes.T > 0)).mean() > 0.999
    projected = centred @ axes

    def kept(bits):  # share of the components' energy that the best rotation of these signs explains
        signs = np.where(bits, 1.0, -1.0)
        return np.linalg.svd(projected.T @ signs)[1].sum()

    assert kept(found["itq"]) > 1.02 * kept(found["pca"])


def test_a_plan_with_codes_that_cannot_be_is_refused(tiny, tmp_path):
    for methods, word in (({"a": ["codes=sign"]}, "codes=pca or codes=itq or codes=lsh"),
                          ({"a": ["model.freeze=none", "codes=itq"]}, "freeze none"),
                          ({"a": ["codes=pca", "model.backbone=alexnet"]}, "backbone alexnet")):
        path = write_plan(tmp_path, methods)
        with pytest.raises(InputError, match=word):
            read_plan(path)
    (one,) = read_plan(write_plan(tmp_path, {"a": ["codes=pca"], "b": ["a", "lr=1"]}, methods=["b"],
                                  updates=[2, 5])).runs()
    assert (one.codes, one.updates) == ("pca", 0)
