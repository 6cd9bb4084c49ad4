"""AlexNet's max pooling on a GPU, channels last: windows of 3 x 3 at every second pixel.

torch's backward pass takes longer than it takes to read and write the maps. Two kernels here work out where a pixel
lies once for all its channels. Same maps, same gradients; measured by tests/benchmarks/pooling_speed.py.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def max_pool(maps: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, (H - 1) // 2, (W - 1) // 2), ``max_pool2d(maps, 3, 2)`` by our kernels."""
    return torch.ops.ibc.max_pool(maps)[0]


@torch.library.custom_op("ibc::max_pool", mutates_args=())
def _pool(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of every window, and the number (0 to 8, uint8) of the first pixel that has it."""
    from ibc.accelerate.kernels import pooling  # noqa: PLC0415 - Triton is not everywhere

    pooled, taken = _pooled(maps)
    pooling.pool(maps.contiguous(memory_format=torch.channels_last), pooled, taken)
    return pooled, taken


@_pool.register_fake
def _pooled(maps: Tensor) -> tuple[Tensor, Tensor]:
    images, channels, height, width = maps.shape
    pooled = torch.empty((images, channels, (height - 1) // 2, (width - 1) // 2), dtype=maps.dtype,
                         device=maps.device, memory_format=torch.channels_last)
    return pooled, torch.empty_like(pooled, dtype=torch.uint8)


@torch.library.custom_op("ibc::max_pool_backward", mutates_args=())
def _spread(gradient: Tensor, taken: Tensor, height: int, width: int) -> Tensor:
    """Every window's gradient, given to the pixel that was its largest."""
    from ibc.accelerate.kernels import pooling  # noqa: PLC0415 - Triton is not everywhere

    spread = _like_maps(gradient, taken, height, width)
    pooling.spread(gradient.contiguous(memory_format=torch.channels_last), taken, spread)
    return spread


@_spread.register_fake
def _like_maps(gradient: Tensor, taken: Tensor, height: int, width: int) -> Tensor:
    return torch.empty((*gradient.shape[:2], height, width), dtype=gradient.dtype, device=gradient.device,
                       memory_format=torch.channels_last)


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(output[1])
    ctx.size = inputs[0].shape[-2:]


def _backward(ctx: Any, gradient: Tensor, _: Any) -> Tensor:
    return torch.ops.ibc.max_pool_backward(gradient, ctx.saved_tensors[0], *ctx.size)


_pool.register_autograd(_backward, setup_context=_save)
