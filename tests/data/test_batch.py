"""Which images are in a batch when some cannot be read."""

import torch

from ibc.data.batch import read_images
from ibc.data.decode import ImageError


def test_what_read_images_takes_in_place_of_bad_ones():
    """Images of one pixel that holds their place; 1, 2 and 5 cannot be read."""
    def read(index):
        return ImageError(f"{index}.jpg", f"{index}.jpg: bad") if index in (1, 2, 5) else torch.full((3, 1, 1), index)

    files = [f"{index}.jpg" for index in range(6)]
    found = read_images([5, 3, 1], read, files, skip_bad=True, replace=True)
    assert found.indices == [0, 3, 3] and [int(image[0]) for image in found.images] == [0, 3, 3]
    assert [error.path for error in found.skipped] == ["5.jpg", "1.jpg", "2.jpg"]
    assert read_images([5, 3, 1], read, files, skip_bad=True, replace=False).indices == [3]
    assert read_images([3, 1, 5], read, files, skip_bad=False, replace=True) == ImageError("1.jpg", "1.jpg: bad")
    bad = read_images([0], lambda _: ImageError("0.jpg", "0.jpg: bad"), files, skip_bad=True, replace=True)
    assert bad == ImageError("0.jpg", "0.jpg: no image of the list can be read")
