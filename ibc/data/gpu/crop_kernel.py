"""A Triton kernel that crops and mirrors a batch of images of one size, pixel by pixel.

Its slower twin in torch, which it must equal, is in ``ibc.data.gpu.crop``. Importing this needs Triton.
"""

from __future__ import annotations

import threading

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS = 4  # rows of the result that one program of the kernel writes
_one_at_a_time = threading.Lock()  # the first launch compiles, which must not happen in several threads at once


def crop_stack(stack: Tensor, places: Tensor, crop: tuple[int, int]) -> Tensor:
    """(n, 3, H, W) uint8, contiguous -> (n, 3, h, w) uint8, channels last.

    places: (n, 3) int32: top and left of each image's crop, and whether to mirror it (0 or 1).
    """
    count, _, height, width = stack.shape
    result = torch.empty((count, 3, *crop), dtype=torch.uint8, device=stack.device,
                         memory_format=torch.channels_last)
    with _one_at_a_time, torch.cuda.device_of(stack):
        _crop[(count, triton.cdiv(crop[0], ROWS))](stack, places, result, height, width, *crop, ROWS,
                                                   triton.next_power_of_2(3 * crop[1]), num_warps=8)
    return result


@triton.jit(do_not_specialize=["height", "width", "crop_height", "crop_width"])
def _crop(stack, places, result, height, width, crop_height, crop_width, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    image = tl.program_id(0)
    top = tl.load(places + 3 * image)
    left = tl.load(places + 3 * image + 1)
    mirror = tl.load(places + 3 * image + 2)
    row = (tl.program_id(1) * ROWS + tl.arange(0, ROWS))[:, None]
    value = tl.arange(0, BLOCK)[None, :]  # numbers of the values in a row of the result: red, green, blue, red, ...
    x, channel = value // 3, value % 3
    column = left + tl.where(mirror != 0, crop_width - 1 - x, x)
    inside = (row < crop_height) & (x < crop_width)
    plane = image.to(tl.int64) * 3 + channel
    pixels = tl.load(stack + (plane * height + top + row) * width + column, inside, 0)
    tl.store(result + (image.to(tl.int64) * crop_height + row) * crop_width * 3 + value, pixels, inside)
