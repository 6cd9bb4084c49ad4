"""The faster trunks against the network as it is written."""

import copy

import pytest
import torch

from ibc.accelerate.trunk import blocked_stem, for_inference, for_training
from ibc.config import ModelConfig
from ibc.network import IBC

MODEL = ModelConfig(12, 5, 10, pretrained="none", fc_dim=24)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("faster", [for_training, for_inference])
def test_pooling_first_changes_no_bit(dtype, faster):
    """bfloat16 has equal values in many windows."""
    model = IBC(MODEL).to(dtype)
    trunk = model.enc_style.conv_basic
    images = torch.randn(4, 3, 227, 227, generator=torch.Generator().manual_seed(0)).to(dtype)
    results = []
    for network in (model, faster(model)):
        model.zero_grad()
        maps = network.features(images)
        maps.square().sum().backward()
        results.append([maps.detach(), *(parameter.grad.clone() for parameter in trunk.parameters())])
    for plain, fast in zip(*results, strict=True):
        assert plain.abs().sum() > 0 and torch.equal(plain, fast)


def test_a_faster_network_is_the_same_network():
    """Parameters, names and mode are shared, whatever happens to the plain one later."""
    model = IBC(MODEL)
    fast = for_training(model)
    assert [name for name, _ in fast.named_parameters()] == [name for name, _ in model.named_parameters()]
    model.double().eval()
    with torch.no_grad():
        model.GRM.fill_(0.25)
    for one, other in zip(model.parameters(), fast.parameters(), strict=True):
        assert one is other and other.dtype == torch.float64
    images = torch.randn(2, 3, 70, 70, dtype=torch.float64)
    assert torch.equal(fast.encode(images), model.encode(images))  # both without dropout


def test_mixed_precision_leaves_codes_and_logits_in_float32():
    model = IBC(MODEL).eval()
    images = torch.randn(2, 3, 70, 70)
    plain, mixed = model(images), for_training(copy.deepcopy(model), bf16=True)(images)
    assert mixed.codes.dtype == mixed.real_logits.dtype == torch.float32 and mixed.maps.dtype == torch.bfloat16
    assert torch.allclose(mixed.codes, plain.codes, atol=0.02) and not torch.equal(mixed.codes, plain.codes)


def test_blocked_stem_is_the_first_convolution():
    conv = IBC(MODEL).double().enc_style.conv_basic[0]
    for shape in ((227, 227), (224, 300), (64, 65)):
        images = torch.randn(2, 3, *shape, dtype=torch.float64)
        assert torch.allclose(blocked_stem(images, conv), conv(images), atol=1e-12)
