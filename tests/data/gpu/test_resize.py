"""Images resized together: those that a CPU resizes one by one, to a grey level; errors stay where they are."""

import torch

from ibc.data.decode import ImageError
from ibc.data.gpu.resize import resize_images
from ibc.data.transform import ImageTransform

SIZES = [(40, 50), (80, 90), (40, 50), (50, 40), (30, 99)]


def test_images_of_several_shapes():
    transform = ImageTransform((60, 60), 70, False, train=True)
    random = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=random) for size in SIZES]
    error = ImageError("a.jpg", "a.jpg: broken")
    resized = resize_images([*images, error], transform)
    assert resized[-1] is error and resized[1] is images[1]
    for image, found in zip(images, resized, strict=False):
        slow = transform.resized(image)
        assert found.shape == slow.shape and (found.int() - slow.int()).abs().max() <= 1


def test_a_stack_stays_one(monkeypatch):
    stack = torch.randint(0, 256, (5, 3, 40, 50), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    transform = ImageTransform((40, 40), 60, False, train=False)
    assert resize_images(stack, transform) is stack
    always = ImageTransform((40, 40), 60, True, train=False)
    whole = resize_images(stack, always)
    assert isinstance(whole, torch.Tensor) and whole.shape == (5, 3, 60, 75) and whole.dtype == torch.uint8
    monkeypatch.setattr("ibc.data.gpu.resize.RESIZED_TOGETHER", 2 * 3 * 60 * 75)  # two at once
    assert torch.equal(resize_images(stack, always), whole)
