"""Normalisation: the formula's values, in either memory format, on either device."""

import pytest
import torch

from ibc.normalise import normalise

PIXELS = torch.randint(0, 256, (5, 3, 30, 41), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU"))])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_normalised_pixels_are_those_of_the_formula_in_either_order(order, device):
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], dtype=torch.float64)[:, :, None, None]
    images = PIXELS.contiguous(memory_format=order).to(device)
    values = normalise(images)
    assert values.dtype == torch.float32 and values.is_contiguous(memory_format=order)
    assert (values.cpu() - (PIXELS.double() / 255 - mean) / std).abs().max() < 1e-6
    assert torch.equal(values, normalise(PIXELS.to(device)))  # bit for bit
    assert torch.equal(images.cpu(), PIXELS)
