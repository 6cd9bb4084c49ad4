"""Crops of a batch. What they show is tested with the loaders that make them."""

import torch

from ibc.data.augment import crop_images


def test_crops_of_a_batch_are_channels_last():
    images = torch.zeros(5, 3, 30, 41, dtype=torch.uint8)
    assert crop_images(list(images), (20, 31), None).is_contiguous(memory_format=torch.channels_last)
