"""The pooling kernels against torch's max_pool2d: on a GPU, and without one in Triton's interpreter."""

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from ibc import pooling

SHAPES = ((2, 64, 11, 13), (3, 5, 27, 27), (1, 7, 4, 6), (2, 300, 3, 3))


def maps_of(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Few different values, so that windows have several largest pixels; one window of -inf, one with no number."""
    maps = torch.randint(-3, 4, shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    maps[0, 0, :3, :3] = float("-inf")
    maps[0, 1, 0, 1] = float("nan")
    return maps.contiguous(memory_format=torch.channels_last)


def check(device: str) -> None:
    for shape in SHAPES:
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            maps = maps_of(shape, dtype)
            plain = maps.double().requires_grad_()
            expected = F.max_pool2d(plain, 3, 2)
            gradient = torch.randint(-8, 9, expected.shape, generator=torch.Generator().manual_seed(1)).to(dtype) / 8
            expected.backward(gradient.double())
            ours = maps.to(device).requires_grad_()
            pooled = torch.ops.ibc.max_pool(ours)[0]
            pooled.backward(gradient.to(device))
            assert torch.equal(pooled.cpu().double().nan_to_num(9), expected.nan_to_num(9)), (shape, dtype)
            assert torch.equal(ours.grad.cpu().double(), plain.grad), (shape, dtype)  # four eighths add up exactly
            assert pooled.is_contiguous(memory_format=torch.channels_last)
            assert ours.grad.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.skipif(not pooling.AVAILABLE, reason="no Triton")
def test_kernels_in_the_interpreter():
    run = subprocess.run([sys.executable, "-c", "from tests.test_pooling import check; check('cpu')"],
                         env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.skipif(not (torch.cuda.is_available() and pooling.AVAILABLE), reason="no GPU")
def test_kernels_on_a_gpu():
    check("cuda")
    maps = maps_of((2, 64, 55, 55), torch.bfloat16).cuda()
    assert torch.equal(pooling.max_pool(maps).nan_to_num(9), F.max_pool2d(maps, 3, 2).nan_to_num(9))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_shapes_without_a_gpu(layout):
    """What the compiler is told of the results: as the kernels make them."""
    maps = torch.empty(2, 8, 11, 14, device="meta", memory_format=layout)
    pooled, taken = torch.ops.ibc.max_pool(maps)
    assert pooled.shape == taken.shape == F.max_pool2d(torch.empty(2, 8, 11, 14), 3, 2).shape
    assert taken.dtype == torch.uint8 and pooled.is_contiguous(memory_format=torch.channels_last)
    assert torch.ops.ibc.max_pool_backward(pooled, taken, 11, 14).shape == maps.shape
