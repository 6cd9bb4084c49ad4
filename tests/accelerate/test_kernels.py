"""Triton kernels against their slower twins: on a GPU, and without one in Triton's interpreter."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F

from ibc.accelerate import kernels, pooling

SHAPES = ((2, 64, 11, 13), (3, 5, 27, 27), (1, 7, 4, 6), (2, 300, 3, 3))


def maps_of(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Few different values, so that windows have several largest pixels; one window of -inf, one with no number."""
    maps = torch.randint(-3, 4, shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    maps[0, 0, :3, :3] = float("-inf")
    maps[0, 1, 0, 1] = float("nan")
    return maps.contiguous(memory_format=torch.channels_last)


def check_pooling(device: str) -> None:
    for shape in SHAPES:
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            maps = maps_of(shape, dtype)
            plain = maps.double().clone().requires_grad_()
            expected = F.max_pool2d(plain, 3, 2)
            gradient = torch.randint(-8, 9, expected.shape, generator=torch.Generator().manual_seed(1)).to(dtype) / 8
            expected.backward(gradient.double())
            ours = maps.to(device, copy=True).requires_grad_()
            pooled = torch.ops.ibc.max_pool(ours)[0]
            pooled.backward(gradient.to(device))
            assert torch.equal(pooled.cpu().double().nan_to_num(9), expected.nan_to_num(9)), (shape, dtype)
            assert torch.equal(ours.grad.cpu().double(), plain.grad), (shape, dtype)  # four eighths add up exactly
            assert pooled.is_contiguous(memory_format=torch.channels_last)
            assert ours.grad.is_contiguous(memory_format=torch.channels_last)


def check_look_up(device: str) -> None:
    from ibc.accelerate.kernels import normalise

    table = torch.randn(3, 256, generator=torch.Generator().manual_seed(0))
    for shape in ((1, 3, 1, 1), (2, 3, 37, 41), (3, 3, 64, 64)):
        images = torch.randint(0, 256, shape, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
        ours = normalise.look_up(images.to(device), table.to(device))
        for channel in range(3):
            assert torch.equal(ours[:, channel].cpu(), table[channel][images[:, channel].long()]), shape
        assert ours.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.skipif(find_spec("triton") is None, reason="no Triton")
def test_kernels_in_the_interpreter():
    program = "from tests.accelerate import test_kernels as own; own.check_pooling('cpu'); own.check_look_up('cpu')"
    run = subprocess.run([sys.executable, "-c", program], text=True, check=False, capture_output=True,
                         env={**os.environ, "TRITON_INTERPRET": "1"})
    assert run.returncode == 0, run.stderr


@pytest.mark.skipif(not kernels.available(), reason="no GPU")
@pytest.mark.parametrize("check", [check_pooling, check_look_up])
def test_kernels_on_a_gpu(check):
    check("cuda")


@pytest.mark.skipif(not kernels.available(), reason="no GPU")
def test_pooling_on_a_gpu_is_by_the_kernels():
    maps = maps_of((2, 64, 55, 55), torch.bfloat16).cuda().requires_grad_()
    pooled = pooling.max_pool(maps)
    assert "max_pool" in pooled.grad_fn.name() and "ibc" in pooled.grad_fn.name()
    assert torch.equal(pooled.nan_to_num(9), F.max_pool2d(maps, 3, 2).nan_to_num(9))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_shapes_without_a_gpu(layout):
    """What the compiler is told of the results: as the kernels make them."""
    maps = torch.empty(2, 8, 11, 14, device="meta", memory_format=layout)
    pooled, taken = torch.ops.ibc.max_pool(maps)
    assert pooled.shape == taken.shape == F.max_pool2d(torch.empty(2, 8, 11, 14), 3, 2).shape
    assert taken.dtype == torch.uint8 and pooled.is_contiguous(memory_format=torch.channels_last)
    assert torch.ops.ibc.max_pool_backward(pooled, taken, 11, 14).shape == maps.shape
