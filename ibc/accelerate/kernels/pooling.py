"""Max pooling for ``ibc.accelerate.pooling``.

A program takes a few pixels and all their channels, which lie side by side.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

VALUES = 4096  # of a program


def pool(maps: Tensor, pooled: Tensor, taken: Tensor) -> None:
    """maps, pooled, taken: (N, C, H, W), channels last; the last two are filled."""
    _launch(_pool, pooled, maps, pooled, taken, *maps.shape[-2:], *pooled.shape[-2:])


def spread(gradient: Tensor, taken: Tensor, result: Tensor) -> None:
    """gradient, taken: of the pooled maps. result: of the maps before; it is filled."""
    _launch(_spread, result, gradient, taken, result, *result.shape[-2:], *gradient.shape[-2:])


def _launch(kernel, over: Tensor, *arguments) -> None:
    """``kernel`` over the pixels of ``over``."""
    channels = over.shape[1]
    block = triton.next_power_of_2(channels)
    count = over.numel() // channels
    pixels = max(1, VALUES // block)
    sums = tl.float64 if over.dtype == torch.float64 else tl.float32
    with torch.cuda.device_of(over):
        kernel[(triton.cdiv(count, pixels),)](*arguments, count, channels, sums, pixels, block, num_warps=8)


@triton.jit
def _pool(maps, pooled, taken, height, width, out_height, out_width, count,
          CHANNELS: tl.constexpr, SUMS: tl.constexpr, PIXELS: tl.constexpr, BLOCK: tl.constexpr):
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    row, column = pixel // out_width, pixel % out_width
    first = (row // out_height * height + row % out_height * 2) * width + column * 2
    channel = tl.arange(0, BLOCK)[None, :]
    there = (pixel < count)[:, None] & (channel < CHANNELS)
    best = tl.full((PIXELS, BLOCK), float("-inf"), SUMS)
    place = tl.zeros((PIXELS, BLOCK), tl.int32)
    for number in tl.static_range(9):
        seen = first + number // 3 * width + number % 3
        value = tl.load(maps + _place(seen, channel, CHANNELS), there, 0).to(SUMS)
        better = (value > best) | (value != value)  # noqa: PLR0124  (the first of equal ones, and no number, win)
        best = tl.where(better, value, best)
        place = tl.where(better, number, place)
    target = _place(pixel, channel, CHANNELS)
    tl.store(pooled + target, best.to(pooled.dtype.element_ty), there)
    tl.store(taken + target, place.to(tl.uint8), there)


@triton.jit
def _spread(gradient, taken, result, height, width, out_height, out_width, count,
            CHANNELS: tl.constexpr, SUMS: tl.constexpr, PIXELS: tl.constexpr, BLOCK: tl.constexpr):
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    row, x = pixel // width, pixel % width
    image, y = row // height, row % height
    channel = tl.arange(0, BLOCK)[None, :]
    there = (pixel < count)[:, None] & (channel < CHANNELS)
    total = tl.zeros((PIXELS, BLOCK), SUMS)
    for number in tl.static_range(4):  # the windows that a pixel may lie in: two rows of two
        out_y, out_x = y // 2 - (1 - number // 2), x // 2 - (1 - number % 2)
        in_y, in_x = y - 2 * out_y, x - 2 * out_x
        lies = (out_y >= 0) & (out_y < out_height) & (in_y < 3) & (out_x >= 0) & (out_x < out_width) & (in_x < 3)
        window = _place((image * out_height + out_y) * out_width + out_x, channel, CHANNELS)
        seen = there & lies[:, None]
        own = tl.load(taken + window, seen, 255) == (in_y * 3 + in_x)[:, None]
        total += tl.where(own, tl.load(gradient + window, seen, 0).to(SUMS), 0)
    tl.store(result + _place(pixel, channel, CHANNELS), total.to(result.dtype.element_ty), there)


@triton.jit
def _place(pixel, channel, CHANNELS: tl.constexpr):
    return pixel.to(tl.int64)[:, None] * CHANNELS + channel
