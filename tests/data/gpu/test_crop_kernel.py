"""The Triton kernel that crops, against slices: on a GPU, and without one in Triton's interpreter."""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from ibc.data.augment import crop_images, crop_places, draws
from ibc.data.gpu.crop import kernel_available


def check_crop(device: str) -> None:
    from ibc.data.gpu import crop_kernel

    for height, width, crop in ((20, 24, (17, 13)), (16, 16, (16, 16)), (31, 40, (5, 33))):
        stack = torch.randint(0, 256, (6, 3, height, width), dtype=torch.uint8)
        for table in (None, draws(0, 1, range(6))):
            places = crop_places(np.tile((height, width), (6, 1)), crop, table)
            ours = crop_kernel.crop_stack(stack.to(device), torch.from_numpy(places.astype(np.int32)).to(device), crop)
            assert torch.equal(ours.cpu(), crop_images(list(stack), crop, table)), (height, width, crop)
            assert ours.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.skipif(find_spec("triton") is None, reason="no Triton")
def test_the_kernel_in_the_interpreter():
    run = subprocess.run([sys.executable, "-c", f"from {__name__} import check_crop; check_crop('cpu')"],
                         env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_kernel_on_a_gpu():
    assert kernel_available()
    check_crop("cuda")
