"""``crop: strong``: parts within the image, the same pixels in stacks and one by one, and what each number does."""

import numpy as np
import pytest
import torch

from ibc.config import load_config
from ibc.data.augment import draws
from ibc.data.loader import images_for_training, training_batches
from ibc.data.strong_crop import COLOUR, DRAWS, SMALLEST_AREA, strong_crops, strong_stack, strong_windows
from tests.small_run import make_run

CPU = torch.device("cpu")


def test_windows_lie_in_the_image_and_have_the_asked_area():
    sizes = np.tile([[100, 80], [60, 240]], (500, 1))
    top, left, height, width, mirror = strong_windows(sizes, draws(1, 0, range(1000), DRAWS)).T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= sizes[:, 0] + 1e-9).all() and (left + width <= sizes[:, 1] + 1e-9).all()
    share, square = height * width / sizes.prod(axis=1), sizes[:, 0] == 100
    assert share.min() > 0.2 and share.max() <= 1  # of a long image a part of the asked area and ratio may not fit
    assert share[square].mean() == pytest.approx((1 + SMALLEST_AREA) / 2, abs=0.05)
    assert 0.45 < mirror.mean() < 0.55


def test_whole_window_without_colour_is_the_image_or_its_mirror():
    images = torch.randint(0, 256, (2, 3, 20, 30), dtype=torch.uint8)
    windows = np.array([[0, 0, 20, 30, 0], [0, 0, 20, 30, 1]])
    same, mirrored = strong_stack(images, windows, np.ones((2, 3)), (20, 30))
    assert torch.equal(same, images[0]) and torch.equal(mirrored, images[1].flip(-1))


def test_colours():
    image = torch.tensor([[40.0], [80], [120]]).view(1, 3, 1, 1).expand(1, 3, 4, 4).to(torch.uint8)
    window = np.array([[0, 0, 4, 4, 0]])
    for factors, expected in (((1.2, 1, 1), [48, 96, 144]), ((1, 0.5, 1), [60, 80, 100]), ((1, 1, 0.5), [60, 80, 100]),
                              ((3, 1, 1), [120, 240, 255])):
        assert strong_stack(image, window, np.array([factors]), (4, 4))[0, :, 0, 0].tolist() == expected


def test_one_by_one_as_in_a_stack():
    images = torch.randint(0, 256, (3, 3, 40, 50), dtype=torch.uint8)
    table = draws(0, 2, [5, 6, 7], DRAWS)
    stack = strong_crops(images, (32, 36), table, CPU)
    ragged = strong_crops([*images, torch.zeros(3, 60, 60, dtype=torch.uint8)], (32, 36),
                          draws(0, 2, [5, 6, 7, 8], DRAWS), CPU)
    assert stack.shape == (3, 3, 32, 36) and stack.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(stack, ragged[:3])


def test_training_batches_are_strong_and_repeat(tmp_path):
    config = load_config(make_run(tmp_path / "data"), ["crop=strong"])
    official = load_config(tmp_path / "data/config.yaml")
    first, again, other = ([batch.images.float() for batch in training_batches(one, images_for_training(one), 0, CPU)]
                           for one in (config, config, official))
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    change = torch.stack([one.mean(dim=(1, 2, 3)) / two.mean(dim=(1, 2, 3))
                          for one, two in zip(first, other, strict=True)])
    assert change.min() > 1 - COLOUR - 0.1 and change.max() < 1 + COLOUR + 0.1 and change.std() > 0.1
