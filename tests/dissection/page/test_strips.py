"""Strips of top images against their description."""

import numpy as np
from PIL import Image

from ibc.dissection import Settings, dissect, load_broden
from ibc.dissection.page.strips import write_strips
from tests.dissection.data import IMAGE, Filters, write_broden
from tests.dissection.slow_tally import resize

FAST = Settings(workers=0, device="cpu", batch_size=12, null=4, quantile=0.1, top_n=3)


def test_strips(tmp_path):
    """Against the description: image times (0.2 + 0.8 mask), white gaps of 3 pixels."""
    broden = load_broden(write_broden(tmp_path / "broden", count=24))
    tally = dissect(Filters(), broden, FAST)
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "features-0099.jpg").write_bytes(b"of an older run")
    (folder / "other-0099.jpg").write_bytes(b"of another layer")
    write_strips(folder, tally, broden, IMAGE, threads=2)
    assert sorted(path.name for path in folder.iterdir()) == [
        *(f"features-{unit:04d}.jpg" for unit in range(7)), "other-0099.jpg"]
    strip = np.asarray(Image.open(folder / "features-0002.jpg")).astype(float)
    assert strip.shape == (IMAGE[0], 3 * IMAGE[1] + 2 * 3, 3)
    index = {record.image: place for place, record in enumerate(broden.records)}
    for place in range(3):
        image = broden.read_image(index[tally.image_names[tally.top_images[2, place]]]).permute(1, 2, 0).numpy()
        mask = resize(tally.top_maps[2, place], IMAGE) > tally.thresholds[2]
        expected = image * (0.2 + 0.8 * mask[..., None])
        found = strip[:, place * (IMAGE[1] + 3) : place * (IMAGE[1] + 3) + IMAGE[1]]
        assert np.abs(found - expected).mean() < 25  # noise suffers from JPEG
        assert np.abs(found - image).mean() > np.abs(found - expected).mean() + 10
    assert strip[:, IMAGE[1] : IMAGE[1] + 3].mean() > 200
