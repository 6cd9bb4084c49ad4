"""The methods to compare with: each against its formula written out image by image, and at its limits."""

import math

import numpy as np
import pytest
import torch

from ibc.checkpoint import load_model
from ibc.codes import load_codes
from ibc.config import load_config
from ibc.normalise import normalise
from ibc.objectives.centres import class_centres, targets_of
from ibc.objectives.table import OBJECTIVES, make_objective
from tests.objectives.double_trainer import double_trainer
from tests.small_run import error_of, make_run, run

METHODS = ("orthohash", "csq", "dpn", "greedyhash", "hashnet", "cross_entropy")
NONE = 99999
MARGIN, SCALE = 0.2, 8.0


def config_of(folder, method, *changes):
    return load_config(make_run(folder / "data", images=8), [f"objective={method}", *changes])


def batch(multi_label=False):
    generator = torch.Generator().manual_seed(5)
    images = normalise(torch.randint(0, 256, (8, 3, 70, 70), dtype=torch.uint8, generator=generator)).double()
    labels = torch.randint(0, 4, (8, 1), generator=generator).float()
    if multi_label:
        labels = torch.zeros(8, 4).scatter_(1, labels.long(), 1)
        labels[:, 1] = 1
    labels[3, 0] = NONE
    return images, labels


def mean(values):
    return sum(values) / len(values)


def softmax_loss(logits, y):
    return math.log(sum(math.exp(value) for value in logits)) - logits[y]


@torch.no_grad()
def formula(method, trainer, h, classes):
    """The value that the weighted terms of a method should have. h: lists of outputs. classes: an id each, or None."""
    known = [i for i, y in enumerate(classes) if y is not None]
    objective, length = trainer.objective, len(h[0])
    if method in ("csq", "dpn", "orthohash"):
        centres = objective.centres.tolist()
    if method == "csq":
        pull = mean([mean([-math.log((1 + t * math.tanh(x)) / 2)
                           for x, t in zip(h[i], centres[classes[i]], strict=True)]) for i in known])
        return pull + 1e-3 * mean([mean([(abs(math.tanh(x)) - 1) ** 2 for x in h[i]]) for i in known])
    if method == "dpn":
        return mean([sum(max(0, 1 - x * t) for x, t in zip(h[i], centres[classes[i]], strict=True))
                     + 0.1 * mean([x * x for x in h[i]]) for i in known])
    if method == "greedyhash":
        layer = objective.sign_classifier
        signs = [[1.0 if x > 0 else -1.0 for x in row] for row in h]
        return mean([softmax_loss((layer.weight @ torch.tensor(signs[i]) + layer.bias).tolist(), classes[i])
                     + 0.1 * mean([abs(abs(x) - 1) ** 3 for x in h[i]]) for i in known])
    if method == "cross_entropy":
        layer = objective.output_classifier
        logits = [(layer.weight @ torch.tensor(row) + layer.bias).tolist() for row in h]
        return mean([softmax_loss(logits[i], classes[i]) for i in known])
    if method == "hashnet":
        losses = {True: [], False: []}
        for i in known:
            for j in known:
                if i != j:
                    product = 10 / length * sum(math.tanh(a) * math.tanh(b) for a, b in zip(h[i], h[j], strict=True))
                    same = classes[i] == classes[j]
                    losses[same].append(math.log1p(math.exp(product)) - same * product)
        return mean(losses[True]) + mean(losses[False])
    columns = list(zip(*h, strict=True))
    spread = [math.sqrt(mean([(x - mean(column)) ** 2 for x in column]) + 1e-5) for column in columns]
    rows = [[(x - mean(column)) / s for x, column, s in zip(row, columns, spread, strict=True)] for row in h]

    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)

    return mean([softmax_loss([SCALE * (cosine(rows[i], centre) - MARGIN * (c == classes[i]))
                               for c, centre in enumerate(centres)], classes[i]) for i in known])


@pytest.mark.parametrize("method", METHODS)
def test_loss_is_that_of_the_formula(tmp_path, method):
    trainer = double_trainer(config_of(tmp_path, method), plain=True)
    images, labels = batch()
    with torch.no_grad():
        h = trainer.model.hash_logits(trainer.model.features(images)).tolist()
    torch.set_default_dtype(torch.float64)
    try:
        expected = formula(method, trainer, h, [None if y == NONE else int(y) for y in labels[:, 0].tolist()])
    finally:
        torch.set_default_dtype(torch.float32)
    found = trainer.step(images, labels)
    assert float(found["loss_total"] - found["loss_probe"]) == pytest.approx(expected, rel=1e-9)
    assert tuple(found) == trainer.objective.loss_names


@pytest.mark.parametrize("method", METHODS)
def test_faster_update_changes_no_weight_and_only_the_code_learns(tmp_path, method):
    config = config_of(tmp_path, method)
    plain, fast = double_trainer(config, plain=True), double_trainer(config)
    before = {name: value.clone() for name, value in plain.model.state_dict().items()}
    images, labels = batch()
    for _ in range(3):
        slow_losses, fast_losses = plain.step(images, labels), fast.step(images, labels)
        for name, value in slow_losses.items():
            assert float(fast_losses[name]) == pytest.approx(float(value), rel=1e-9, abs=1e-12), name
    for name, value in plain.model.state_dict().items():
        if method == "orthohash" and name.endswith("hash_layer.bias"):
            continue  # the normalisation takes it away: its gradient is rounding
        assert torch.allclose(value, fast.model.state_dict()[name], rtol=1e-9, atol=1e-7), name
        moved = not torch.equal(value, before[name])
        trained = any(part in name for part in ("conv_basic", "pre_hash", "hash_layer", "hash_prediction"))
        if "conv_last" in name or "real_prediction" in name or trained:
            assert moved == trained, name


@pytest.mark.parametrize("method", METHODS)
def test_several_labels_where_the_method_knows_them(tmp_path, method):
    config = config_of(tmp_path, method, "model.multi_label=true")
    if not OBJECTIVES[method].MULTI_LABEL:
        with pytest.raises(ValueError, match="the method is not defined for several"):
            make_objective(config)
        return
    losses = double_trainer(config, plain=True).step(*batch(multi_label=True))
    assert all(torch.isfinite(value) for value in losses.values())


def test_without_any_label_nothing_is_learned(tmp_path):
    for method in METHODS:
        trainer = double_trainer(config_of(tmp_path / method, method, "weight_decay=0"), plain=True)
        before = trainer.model.enc_style.hash_layer.weight.clone()
        images, labels = batch()
        losses = trainer.step(images, torch.full_like(labels, NONE))
        assert all(float(value) == 0 for value in losses.values()), (method, losses)
        assert torch.equal(before, trainer.model.enc_style.hash_layer.weight)


def test_centres():
    centres = class_centres(100, 64, 0)
    products = centres @ centres.T
    assert centres.shape == (100, 64) and set(centres.unique().tolist()) == {-1, 1}
    assert (products - 64 * torch.eye(100)).max() <= 0  # half of the bits differ, or all
    odd = class_centres(30, 12, 3)
    assert torch.equal(odd.sum(dim=1), torch.zeros(30)) and len(odd.unique(dim=0)) > 20
    assert torch.equal(odd, class_centres(30, 12, 3)) and not torch.equal(odd, class_centres(30, 12, 4))
    three = torch.tensor([[1.0, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
    vectors = torch.tensor([[1.0, 1, 1], [1, 1, 0], [0, 0, 1]])
    assert targets_of(three, torch.zeros(3), vectors).tolist() == [[1, -1, -1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]


def test_losses_at_their_limits(tmp_path):
    """Codes at their centres cost almost nothing; all alike cost what a guess costs."""
    labels = torch.arange(4).repeat(2)[:, None].float()
    for method, right, alike in (("csq", 0.0, None), ("dpn", 0.1 * 30**2, None), ("hashnet", math.log(2), None),
                                 ("orthohash", None, math.log(3 + math.exp(-SCALE * MARGIN)) + SCALE * MARGIN)):
        objective = make_objective(config_of(tmp_path / method, method, "model.code_len=64"))
        parts = objective.read_labels(labels)
        centres = class_centres(4, 64, objective.config.seed)

        def value(h, objective=objective, parts=parts):
            from ibc.objectives.hashing import HashPredictions

            found = HashPredictions(h, torch.zeros(8, 4), parts[0].targets, None)
            losses = objective.losses(found, parts, torch.tensor(0.0))
            return float(losses["loss_total"] - losses["loss_probe"])

        if right is not None:
            at_centres = value(30 * centres[labels[:, 0].long()])
            assert at_centres == pytest.approx(right, abs=0.01), method
            assert value(-30 * centres[labels[:, 0].long()]) > at_centres + (1 if method != "hashnet" else -0.1)
        if alike is not None:
            assert value(torch.ones(8, 64)) == pytest.approx(alike, rel=1e-4)


def test_orthohash_is_folded_and_goes_on_bit_for_bit(tmp_path):
    config = make_run(tmp_path / "data", max_iter=10)
    words = ["train.py", "--config", config, "--device", "cpu", "--set", "objective=orthohash", "--output_path"]
    assert run(*words, tmp_path / "whole").returncode == 0
    assert run(*words, tmp_path / "parts", "--set", "max_iter=5").returncode == 0
    assert run(*words, tmp_path / "parts", "--resume").returncode == 0
    place = "outputs/small/checkpoints/checkpoint_00000010.pt"
    whole, parts = (torch.load(tmp_path / name / place, weights_only=True) for name in ("whole", "parts"))
    for section in ("state_dict", "objective"):
        assert all(torch.equal(value, parts[section][name]) for name, value in whole[section].items())
    own, inputs = whole["objective"], torch.randn(5, 16)
    h = inputs @ own["hash_layer.weight"].T + own["hash_layer.bias"]
    normalised = ((h - own["normalisation.running_mean"]) / (own["normalisation.running_var"] + 1e-5).sqrt()
                  * own["normalisation.weight"] + own["normalisation.bias"])
    layer = load_model(tmp_path / "whole" / place).enc_style.hash_layer
    assert torch.allclose(layer(inputs), normalised, atol=1e-4)


def test_codes_of_a_method_without_gates_have_no_rule_matrix(tmp_path):
    config = make_run(tmp_path / "data", max_iter=2)
    words = ["--config", config, "--output_path", tmp_path, "--device", "cpu", "--set", "objective=csq"]
    assert run("train.py", *words).returncode == 0
    ended = run("fea_extraction.py", *words, "--checkpoint", tmp_path / "outputs/small", "--save_name", "test")
    assert ended.returncode == 0, ended.stderr
    codes = load_codes(tmp_path / "results/small/test.npz")
    assert codes.grm is None and codes.binary_codes.shape == (40, 8)
    ended = run("compute_mutual_info_offline.py", "--fea_file_path", tmp_path / "results/small/test.npz")
    assert ended.returncode == 0, ended.stderr
    line = error_of(run("netdissect_lite/main.py", "--checkpoint", tmp_path / "outputs/small", "--broden", tmp_path))
    assert "csq" in line and "filters" in line
    assert np.isin(codes.bits, (-1, 1)).all()
