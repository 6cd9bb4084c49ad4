"""Crops of a batch: their places, the images at them, the memory format."""

import numpy as np
import torch

from ibc.data.augment import crop_images, crop_places, draws


def test_crops_of_a_batch_are_channels_last():
    images = torch.zeros(5, 3, 30, 41, dtype=torch.uint8)
    assert crop_images(list(images), (20, 31), None).is_contiguous(memory_format=torch.channels_last)


def test_crops_of_a_batch_are_those_of_its_pictures():
    sizes = np.array([[20, 30], [12, 20], [13, 21], [40, 25]])
    table = draws(3, 5, [0, 1, 2, 7])
    assert {bool(mirror) for mirror in table[:, 0] < 0.5} == {True, False}
    for (height, width), draw, place in zip(sizes, table, crop_places(sizes, (12, 20), table), strict=True):
        picture = torch.arange(height * width).view(1, height, width)
        whole = picture.flip(-1) if draw[0] < 0.5 else picture
        top, left = int(draw[1] * (height - 12 + 1)), int(draw[2] * (width - 20 + 1))
        slow = whole[:, top : top + 12, left : left + 20]
        top, left, mirror = place
        fast = picture[:, top : top + 12, left : left + 20]
        assert torch.equal(fast.flip(-1) if mirror else fast, slow)
        assert torch.equal(crop_images([picture], (12, 20), draw[None])[0], slow)
    assert crop_places(sizes, (12, 20), None).tolist() == [
        [round((height - 12) / 2), round((width - 20) / 2), 0] for height, width in sizes.tolist()]
