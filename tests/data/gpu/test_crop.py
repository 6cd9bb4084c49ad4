"""Crops of a batch of one size as a whole: those of its images one by one."""

import numpy as np
import pytest
import torch

from ibc.data.gpu.crop import crop_stack


@pytest.mark.parametrize("places", [
    [(0, 0, 0), (3, 10, 1), (8, 5, 1), (1, 2, 0), (4, 7, 1)],
    [(4, 5, 0)] * 5, [(4, 5, 1)] * 5, [(4, 5, 0)] * 4 + [(4, 6, 0)],
])
def test_a_batch_is_cut_as_a_whole_as_slices_are(places):
    stack = torch.randint(0, 256, (5, 3, 20, 30), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    slow = [picture[:, top : top + 12, left : left + 20] for picture, (top, left, _) in zip(stack, places, strict=True)]
    slow = torch.stack([part.flip(-1) if mirror else part for part, (_, _, mirror) in zip(slow, places, strict=True)])
    fast = crop_stack(stack, np.array(places), (12, 20))
    assert torch.equal(fast, slow) and fast.is_contiguous(memory_format=torch.channels_last)
