"""Loss terms with values worked out by hand."""

import math

import pytest
import torch

from ibc.losses import (
    alignment_loss,
    code_density,
    code_sparsity_loss,
    contrastive_loss,
    gated_logits,
    grm_loss,
    largest_gates,
)


def test_sums_beyond_a_threshold():
    grm = torch.tensor([[0.5, -1.0], [0.25, 0.0]])
    assert grm_loss(grm, 1.5).item() == 0.25 and grm_loss(grm, 1.75).item() == 0 and grm_loss(grm, 5.0).item() == 0
    codes = torch.tensor([[1.0, 0, 0, 0, 0], [1.0, 1.0, 1.0, 0.5, 0.5]])
    assert code_density(codes).item() == 2.5
    assert code_sparsity_loss(code_density(codes), 5).item() == 1.5  # beyond a fifth of 5 bits
    assert code_sparsity_loss(torch.tensor(0.9), 5).item() == 0


def test_alignment_is_the_mean_over_elements():
    maps = torch.tensor([[[[0.0, 2.0]], [[0.0, 0.0]]]])  # pooled: 1 and 0
    codes = torch.tensor([[0.0, 1.0]])
    high, low = math.e / (1 + math.e), 1 / (1 + math.e)
    assert alignment_loss(maps, codes).item() == pytest.approx((high - low) * math.log(high / low) / 2, rel=1e-6)
    assert alignment_loss(torch.tensor([[[[0.0]], [[1.0]]]]), codes).item() == pytest.approx(0, abs=1e-7)


def test_every_class_reads_the_inputs_through_its_own_gates():
    weight, gates = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.5, 1.0]])
    logits = gated_logits(torch.tensor([[10.0, 1.0]]), weight, torch.tensor([0.25, -1.0]), gates)
    assert logits.tolist() == [[10.25, 18.0]]


def test_the_largest_gates_count_one_and_take_the_gradient():
    grm = torch.tensor([[0.5, 0.25, 0.125]], requires_grad=True)
    chosen = largest_gates(grm, 2)
    assert chosen.tolist() == [[1, 1, 0]]
    chosen.sum().backward()
    assert grm.grad.tolist() == [[2, 4, 0]]


def test_contrast_of_one_known_anchor_and_of_pairs():
    similarity = torch.log(torch.tensor([[9.0, 3.0, 1.0], [3.0, 9.0, 1.0], [1.0, 1.0, 9.0]]))
    same = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    known = torch.ones(3, dtype=torch.bool)
    # anchors 1 and 2: 3 of 3 + 1; anchor 3 has no positive, but counts in the mean
    assert contrastive_loss(similarity, same, known).item() == pytest.approx(-2 * math.log(3 / 4) / 3, rel=1e-6)
    pair = torch.tensor([True, True, False])  # the third is neither anchor nor negative
    assert contrastive_loss(similarity, same, pair).item() == pytest.approx(0, abs=1e-6)
    three = torch.ones(3, 3, dtype=torch.bool)
    wanted = -(math.log(3 / 4) + math.log(1 / 4) + math.log(3 / 4) + math.log(1 / 4) + 2 * math.log(1 / 2)) / 6
    assert contrastive_loss(similarity, three, known).item() == pytest.approx(wanted, rel=1e-6)
    none = torch.zeros(3, dtype=torch.bool)
    assert contrastive_loss(similarity, same, none).item() == 0
