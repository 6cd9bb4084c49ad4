"""``objective: ibc_plus`` against a twin that writes every term down image by image."""

import math

import pytest
import torch
import torch.nn.functional as F

from ibc.config import load_config
from ibc.losses import contrastive_loss, largest_gates
from ibc.normalise import normalise
from ibc.objectives.table import make_objective
from tests.objectives.double_trainer import double_trainer
from tests.small_run import make_run

PLUS = ["objective=ibc_plus", "plus.nested_bits=[2, 3, 40]", "plus.contrast_bits=[3, 2]", "GRM_w=1e-3", "sparse_w=0.1"]
NONE = 99999


def plus_config(folder, *changes):
    return load_config(make_run(folder / "data", images=8), [*PLUS, *changes])


def batch(multi_label=False, count=8, classes=4):
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (count, 3, 70, 70), dtype=torch.uint8, generator=generator)
    if multi_label:
        labels = (torch.rand(count, classes, generator=generator) < 0.6).float()
        labels[2] = 0
    else:
        labels = torch.randint(0, classes, (count, 1), generator=generator).float()
    labels[3, 0] = NONE
    return images, labels


@torch.no_grad()
def plain_terms(trainer, images, labels, done, drawn=None):
    """The terms by their formulas, loop by loop. labels: (B, L). drawn: one class of each image, multi-label only."""
    config, network = trainer.config, trainer.model
    plus, multi = config.plus, config.model.multi_label
    out = network(images)
    known = [i for i in range(len(labels)) if labels[i, 0] != NONE]
    weight, bias = network.enc_style.hash_prediction.fc.weight, network.enc_style.hash_prediction.fc.bias
    head, grm, codes = trainer.objective.filter_classifier, network.GRM, out.codes
    pooled = out.maps.mean(dim=(2, 3))

    def cross_entropy(logits):
        if multi:
            return F.binary_cross_entropy_with_logits(logits[known], labels[known].double())
        return F.cross_entropy(logits[known], labels[known, 0].long())

    def gated(inputs, weight, bias, gates):
        rows = [[sum(inputs[i, k] * weight[c, k] * gates[c, k] for k in range(inputs.shape[1])) + bias[c]
                 for c in range(len(weight))] for i in range(len(inputs))]
        return torch.stack([torch.stack(row) for row in rows])

    def top(count):
        gates = torch.zeros_like(grm)
        for c in range(len(grm)):
            gates[c, grm[c].argsort(descending=True)[:count]] = 1
        return gates

    target = labels[:, 0].long() if drawn is None else drawn
    anchors = [i for i in range(len(labels)) if (0 <= target[i] < 99999)]

    def contrast(gates_of, positive):
        total = 0.0
        for i in anchors:
            gates = gates_of(i)
            alike = {j: float(((2 * codes[i] - 1) * (2 * codes[j] - 1) * gates).sum() / gates.sum())
                     / plus.temperature for j in anchors if j != i}
            log_sum = math.log(sum(math.exp(value) for value in alike.values()))
            same = [alike[j] - log_sum for j in alike if positive(i, j)]
            total -= sum(same) / max(len(same), 1)
        return total / len(anchors)

    def alike(i, j):
        return bool((labels[i] * labels[j]).sum()) if multi else bool(target[i] == target[j])

    def has_class(i, j):
        return bool(labels[j, target[i]]) if multi else bool(target[i] == target[j])

    code_len = codes.shape[1]
    nested = [cross_entropy(gated(codes, weight, bias, top(min(n, code_len)))) for n in plus.nested_bits]
    q, p = F.softmax(codes, 1), F.softmax(pooled, 1)
    values = {
        "loss_real_cls": cross_entropy(out.real_logits),
        "loss_code_cls": cross_entropy(codes @ weight.T + bias),
        "loss_filter_gated": cross_entropy(gated(pooled, head.weight, head.bias, grm)),
        "loss_code_gated": cross_entropy(gated(codes, weight, bias, grm)),
        "loss_code_nested": sum(nested) / len(nested),
        "loss_contrast": contrast(lambda i: torch.ones(code_len), alike),
        "loss_contrast_expert": sum(contrast(lambda i, n=n: top(n)[target[i]], has_class)
                                    for n in plus.contrast_bits) / len(plus.contrast_bits),
        "loss_rule_sparse": F.relu(grm.abs().sum() - config.model.thr_g),
        "loss_kl_div": (q * (q.log() - p.log())).mean(),
        "loss_code_sparse": F.relu(codes.sum(1).mean() - 0.2 * code_len),
        "loss_quantise": min(1, 2 * done) * (4 * codes * (1 - codes)).mean(),
    }
    weights = (config.real_std_w, config.hash_std_w, config.real_mask_w, config.hash_mask_w, plus.nested_w,
               plus.contrast_w, plus.expert_contrast_w, config.GRM_w, config.align_w, config.sparse_w, plus.quantise_w)
    total = sum(weight * value for weight, value in zip(weights, values.values(), strict=True))
    return {**values, "loss_total": total}


@pytest.mark.parametrize("multi_label", [False, True])
def test_terms_are_those_of_their_formulas(tmp_path, multi_label):
    trainer = double_trainer(plus_config(tmp_path, f"model.multi_label={str(multi_label).lower()}"), plain=True)
    images, labels = batch(multi_label)
    images, drawn = normalise(images).double(), None
    if multi_label:
        torch.manual_seed(11)
        (part,) = trainer.objective.read_labels(labels)
        drawn = part.targets
        assert all(labels[i, drawn[i]] == 1 for i in range(8) if drawn[i] >= 0) and (drawn >= 0).sum() >= 5
    expected = plain_terms(trainer, images, labels, 3 / 14, drawn)
    trainer.iteration = 3
    torch.manual_seed(11)
    found = trainer.step(images, labels)
    assert tuple(found) == tuple(expected) == trainer.objective.loss_names
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(float(value), rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_faster_update_changes_no_weight(tmp_path, compiled):
    config = plus_config(tmp_path, "lr_policy=cosine", "warm_up=2")
    plain, fast = double_trainer(config, plain=True), double_trainer(config, compile_update=compiled)
    images, labels = batch()
    for _ in range(3):
        slow_losses, fast_losses = plain.step(images, labels), fast.step(images, labels)
        for name, value in slow_losses.items():
            assert float(fast_losses[name]) == pytest.approx(float(value), rel=1e-9, abs=1e-12), name
    for (name, one), other in zip(plain.model.named_parameters(), fast.model.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-7), name
    moved = make_objective(config).filter_classifier.weight.double() - fast.objective.filter_classifier.weight
    assert moved.abs().max() > 1e-6


def test_without_any_label_the_classifiers_rest(tmp_path):
    trainer = double_trainer(plus_config(tmp_path), plain=True)
    network = trainer.model.enc_style
    resting = [network.hash_prediction.fc.weight, trainer.objective.filter_classifier.weight]
    before, hash_before = [weight.clone() for weight in resting], network.hash_layer.weight.clone()
    images, labels = batch()
    losses = trainer.step(images, torch.full_like(labels, NONE))
    assert all(torch.equal(one, other) for one, other in zip(before, resting, strict=True))
    assert not torch.equal(hash_before, network.hash_layer.weight)
    assert losses["loss_contrast"] == losses["loss_code_nested"] == 0


def test_largest_gates_choose_and_pass_the_gradient():
    grm = torch.tensor([[0.5, 0.25, 1.0], [0.1, 0.9, 0.3]], requires_grad=True)
    gates = largest_gates(grm, 2)
    assert gates.tolist() == [[1, 0, 1], [0, 1, 1]]
    gates.sum().backward()
    assert torch.allclose(grm.grad, torch.tensor([[2, 0, 1], [0, 1 / 0.9, 1 / 0.3]]))


def test_contrastive_loss_at_its_limits():
    """All alike: log(N - 1). Each pair of a class alike and unlike all others: towards 0. No class at all: 0."""
    same = torch.block_diag(*[torch.ones(2, 2)] * 3).bool()
    known = torch.ones(6, dtype=torch.bool)
    assert contrastive_loss(torch.zeros(6, 6), same, known) == pytest.approx(math.log(5))
    assert contrastive_loss(100.0 * same, same, known) == pytest.approx(0, abs=1e-6)
    assert contrastive_loss(torch.zeros(6, 6), same, ~known) == 0
