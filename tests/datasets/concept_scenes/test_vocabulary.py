"""The classes of the concept scenes: balanced, and no concept gives a class away."""

import itertools
from collections import Counter

from ibc.datasets.concept_scenes.vocabulary import CLASSES, CONCEPTS, attribute_names, class_names


def test_classes_are_balanced_compositions():
    assert len(CLASSES) >= 20 and len(attribute_names()) >= 25
    assert len(set(class_names())) == len(CLASSES) and len(set(attribute_names())) == len(attribute_names())
    for category, names in CONCEPTS.items():
        uses = Counter(getattr(item, category) for item in CLASSES)
        assert set(uses) <= set(names)
        assert len(set(uses.values())) == 1 and 3 <= min(uses.values()) <= 4, category


def test_twins_share_scene_and_colour_and_no_other_pair_shares_more_than_one():
    twins = []
    for one, other in itertools.combinations(CLASSES, 2):
        if one.shares(other) > 1:
            assert one.shares(other) == 2
            assert (one.scene, one.color) == (other.scene, other.color)
            twins.append(one.scene)
    assert sorted(twins) == sorted(CONCEPTS["scene"])
    own = {"sea": "blue", "grass": "green", "sand": "beige", "night sky": "black", "brick": "brown", "snow": "white"}
    assert all(item.color != own[item.scene] for item in CLASSES)
