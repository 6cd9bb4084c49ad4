"""What is drawn, against slow twins."""

import numpy as np
import pytest

from ibc.datasets.concept_scenes import vocabulary
from ibc.datasets.concept_scenes.canvas import Canvas, Pose
from ibc.datasets.concept_scenes.drawing import _RGB, draw
from ibc.datasets.concept_scenes.shapes import part, shape
from ibc.datasets.concept_scenes.vocabulary import CLASSES, CONCEPTS, attribute_names


@pytest.fixture(scope="module")
def pictures():
    """Two pictures of every class, with their class."""
    return [(CLASSES[i % len(CLASSES)], draw(CLASSES[i % len(CLASSES)], np.random.default_rng([7, i]), 160))
            for i in range(2 * len(CLASSES))]


def in_polygon(points: np.ndarray, x: float, y: float) -> bool:
    """The even-odd rule, an edge at a time."""
    inside = False
    for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


@pytest.mark.parametrize("name", vocabulary.SHAPES)
def test_a_filled_shape_covers_the_pixels_of_its_outline(name):
    size, pose = 48, Pose(21.3, 24.8, 15.0, 0.6)
    canvas = Canvas(np.zeros((size, size, 3), np.float32), np.zeros((size, size), np.uint8))
    canvas.fill(shape(name), pose, "red", np.float32([200, 10, 10]), {"object": 5})
    outlines = [pose.place(points) for points in shape(name)]
    expected = np.array([[in_polygon(outlines[0], x + 0.5, y + 0.5)
                          and not any(in_polygon(hole, x + 0.5, y + 0.5) for hole in outlines[1:])
                          for x in range(size)] for y in range(size)])
    drawn = canvas.planes["object"] == 5
    borders = sum((expected != np.roll(expected, 1, axis)).sum() for axis in (0, 1))
    assert (expected & ~drawn).sum() < 0.1 * borders
    assert (drawn & ~expected).sum() < 0.4 * borders  # Pillow fills half a (finer) pixel beyond the outline
    centres = [np.argwhere(mask).mean(0) for mask in (drawn, expected)]
    assert np.abs(centres[0] - centres[1]).max() < 0.4  # pixels
    red = canvas.pixels[..., 0] > 100
    assert (red == drawn).mean() > 0.99
    assert (canvas.planes["color"][drawn] == 1 + CONCEPTS["color"].index("red")).all()


def test_a_shape_outside_the_picture_changes_nothing():
    canvas = Canvas(np.zeros((32, 32, 3), np.float32), np.zeros((32, 32), np.uint8))
    canvas.fill(shape("disc"), Pose(-40, 10, 8, 0), "red", np.float32([200, 10, 10]), {"object": 1}, edge=2)
    assert not canvas.pixels.any() and not canvas.planes["object"].any()


def test_attributes_say_what_the_label_maps_show(pictures):
    for composition, picture in pictures:
        expected = []
        for category, names in CONCEPTS.items():
            for number, name in enumerate(names, start=1):
                if category == "scene":
                    expected.append(name == composition.scene)
                    continue
                shown = sum(int(value) == number for row in picture.maps[category] for value in row)
                expected.append(shown / picture.maps[category].size >= vocabulary.LEAST_SHARE[category])
        assert picture.attributes.tolist() == expected


def test_the_figure_shows_its_composition_and_nothing_else_counts(pictures):
    names = attribute_names()
    full = 0
    for composition, picture in pictures:
        shown = {name for name, value in zip(names, picture.attributes, strict=True) if value}
        own = {composition.object, composition.texture, composition.part, composition.scene}
        assert shown - set(CONCEPTS["color"]) <= own
        full += own | {composition.color} <= shown
    assert full > 0.9 * len(pictures)  # the others stand partly outside the frame


def test_pixels_have_the_colour_their_label_names(pictures):
    """Median colour of every well-visible figure colour: hue within 25 degrees of the named one."""

    def hue(rgb):
        high, low = max(rgb), min(rgb)
        red, green, blue = rgb
        sector = {red: (green - blue) / (high - low) % 6, green: (blue - red) / (high - low) + 2,
                  blue: (red - green) / (high - low) + 4}
        return 60 * sector[high]

    checked = 0
    for composition, picture in pictures:
        if composition.color == "black":
            continue
        small = picture.pixels[1::2, 1::2].astype(float)
        mask = (picture.maps["object"] > 0) & (picture.maps["color"] == vocabulary.label("color", composition.color))
        turn = abs(hue(np.median(small[mask], axis=0)) - hue(np.float64(_RGB[composition.color])))
        assert min(turn, 360 - turn) < 25, composition.name
        checked += 1
    assert checked >= 40


def test_light_and_dark_follow_the_colour_map(pictures):
    """White pixels are lighter than black ones, in the same picture."""
    for _, picture in pictures:
        grey = picture.pixels[1::2, 1::2].mean(axis=2)
        white, black = (picture.maps["color"] == vocabulary.label("color", name) for name in ("white", "black"))
        if white.sum() > 50 and black.sum() > 50:
            assert grey[white].mean() > grey[black].mean() + 60


@pytest.mark.parametrize("name", vocabulary.PARTS)
def test_parts_are_neutral_and_reach_into_the_figure(name):
    assert {color for _, color in part(name).pieces} <= {"white", "grey", "black"}
    points = np.concatenate([region[0] for region, _ in part(name).pieces])
    assert np.hypot(*points.T).min() < 1


def test_pictures_of_a_class_differ_and_repeat():
    one, other = (draw(CLASSES[0], np.random.default_rng([0, i]), 96) for i in (0, 1))
    again = draw(CLASSES[0], np.random.default_rng([0, 0]), 96)
    assert (one.pixels == again.pixels).all() and all((one.maps[key] == again.maps[key]).all() for key in one.maps)
    assert np.abs(one.pixels.astype(int) - other.pixels).mean() > 5


def test_odd_sizes_have_maps_of_half_the_size_rounded_down():
    picture = draw(CLASSES[1], np.random.default_rng(0), 227)
    assert picture.pixels.shape == (227, 227, 3)
    assert {plane.shape for plane in picture.maps.values()} == {(113, 113)}
