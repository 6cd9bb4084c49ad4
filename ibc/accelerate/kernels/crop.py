"""A batch of equally large pictures, cut out of their planes and mirrored, pixel by pixel."""

from __future__ import annotations

import threading

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS = 4  # of a program
_one_at_a_time = threading.Lock()  # the first launch compiles, which is not for several threads


def cut(stack: Tensor, places: Tensor, crop: tuple[int, int]) -> Tensor:
    """stack: (n, 3, H, W) uint8, planes. places: (n, 3) int32: top, left, mirror. -> (n, 3, h, w), channels last."""
    count, _, height, width = stack.shape
    result = torch.empty((count, 3, *crop), dtype=torch.uint8, device=stack.device,
                         memory_format=torch.channels_last)
    with _one_at_a_time, torch.cuda.device_of(stack):
        _cut[(count, triton.cdiv(crop[0], ROWS))](stack, places, result, height, width, *crop, ROWS,
                                                  triton.next_power_of_2(3 * crop[1]), num_warps=8)
    return result


@triton.jit(do_not_specialize=["height", "width", "crop_height", "crop_width"])
def _cut(stack, places, result, height, width, crop_height, crop_width, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    picture = tl.program_id(0)
    top = tl.load(places + 3 * picture)
    left = tl.load(places + 3 * picture + 1)
    mirror = tl.load(places + 3 * picture + 2)
    row = (tl.program_id(1) * ROWS + tl.arange(0, ROWS))[:, None]
    value = tl.arange(0, BLOCK)[None, :]  # of a row of the result: red, green, blue, red, ...
    x, color = value // 3, value % 3
    column = left + tl.where(mirror != 0, crop_width - 1 - x, x)
    there = (row < crop_height) & (x < crop_width)
    plane = picture.to(tl.int64) * 3 + color
    taken = tl.load(stack + (plane * height + top + row) * width + column, there, 0)
    tl.store(result + (picture.to(tl.int64) * crop_height + row) * crop_width * 3 + value, taken, there)
