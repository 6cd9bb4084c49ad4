"""Concept scenes: planted concepts are found again; responses without meaning do not beat chance."""

import numpy as np
import pytest
import torch
from torch import nn

from ibc.datasets.concept_scenes.dataset import generate
from ibc.datasets.concept_scenes.settings import SceneSettings
from ibc.dissection import Settings, dissect_layers, load_broden
from ibc.dissection.encoders import PlainEncoder
from ibc.dissection.responses import official_normalise

COUNT = 90


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    generate(folder, SceneSettings(train=1, test=1, broden=COUNT, size=96, seed=0), workers=1)
    return load_broden(folder / "broden")


def concept_maps(broden, labels, cells):
    """(N, K, cells, cells): the share of every cell that each label covers."""
    maps = np.zeros((len(broden), len(labels), cells, cells), np.float32)
    for index in range(len(broden)):
        planes, scalars = broden.read_planes(index), broden.records[index].scalars
        side = planes.shape[1] // cells
        for unit, label in enumerate(labels):
            covered = (planes == label).any(0) | (label in scalars)
            maps[index, unit] = covered.reshape(cells, side, cells, side).mean((1, 3))
    return maps


class Given(nn.Module):
    """Answers each image, known by its pixels, with maps made beforehand."""

    def __init__(self, broden, maps):
        super().__init__()
        self.maps = {self.key(official_normalise(broden.read_image(index)[None])[0]): torch.from_numpy(maps[index])
                     for index in range(len(broden))}
        assert len(self.maps) == len(broden)

    @staticmethod
    def key(image):
        return image.contiguous().numpy().tobytes()

    def forward(self, images):
        return torch.stack([self.maps[self.key(image)] for image in images])


@pytest.mark.parametrize("cells", [48, 16])
def test_planted_concepts_are_found(scenes, cells):
    """Filters that fire on one concept each, as sharp as the label maps or on a third of their resolution."""
    labels = [number for number, name in enumerate(scenes.names) if name]
    assert len(labels) == 38  # objects, parts, textures, colours, scenes
    model = Given(scenes, concept_maps(scenes, labels, cells))
    tally = dissect_layers(PlainEncoder(model), scenes, Settings(workers=0, device="cpu"),
                           thresholds=[np.full(len(labels), 0.5)]).tallies[0]
    assert tally.beats_chance.all()
    if cells == 48:
        assert tally.label.tolist() == labels
        assert [tally.categories[place] for place in tally.category] == [
            scenes.categories[scenes.primary[label]] for label in labels]
        np.testing.assert_allclose(tally.score, 1, rtol=1e-12)
        assert tally.coverage("chance")["all"] == (38, 38)
    else:  # some parts and colours are thinner than a coarse cell
        large = [unit for unit, label in enumerate(labels)
                 if scenes.categories[scenes.primary[label]] in ("object", "texture", "scene")]
        assert tally.label[large].tolist() == [labels[unit] for unit in large]
        assert tally.score[large].min() > 0.6


def test_maps_of_other_images_do_not_beat_chance(scenes):
    """The very same maps, shuffled over the images."""
    labels = [number for number, name in enumerate(scenes.names) if name]
    maps = concept_maps(scenes, labels, 16)
    rng = np.random.default_rng(0)
    shuffled = np.concatenate([maps[rng.permutation(len(maps))] for _ in range(6)], axis=1)
    tally = dissect_layers(PlainEncoder(Given(scenes, shuffled)), scenes, Settings(workers=0, device="cpu"),
                           thresholds=[np.full(shuffled.shape[1], 0.5)]).tallies[0]
    assert tally.beats_chance.mean() < 3 / 21  # one in 21 by luck; units of one shuffle are lucky together
