"""What bits tell about labels: exact values of small sets, and what random codes reach."""

import math

import numpy as np
import pytest

from ibc.labels import Labels
from ibc.report.explorer.cards import bit_cards
from ibc.report.explorer.information import label_information


def test_a_bit_that_is_the_class():
    labels = np.repeat([0, 1, 2, 3], 25)
    signs = np.where(np.stack([labels == 2, labels != 1, labels < 2], axis=1), 1, -1).astype(np.int8)
    found = label_information(signs, Labels(labels), ["a", "b", "c", "d"], "class", seed=0)
    assert found.name(0) == pytest.approx({"concept": "c", "category": "class", "source": "class", "nats": math.log(2),
                                           "iou": 1.0, "chance": 6.25 / 43.75, "beats_chance": True})
    assert found.most_told(1)["name"] == "b"  # the bit speaks against it ...
    assert found.name(1)["concept"] != "b"    # ... so it is not named after it
    assert found.name(2)["concept"] == "a" and found.name(2)["iou"] == pytest.approx(0.5)


def test_random_bits_are_not_above_chance():
    random = np.random.default_rng(0)
    flags = random.random((400, 6)) < 0.3
    signs = random.choice([-1, 1], (400, 60)).astype(np.int8)
    found = label_information(signs, Labels(flags), list("abcdef"), "attribute", seed=0)
    above = sum((found.name(bit) or {"beats_chance": False})["beats_chance"] for bit in range(60))
    assert above <= 25  # the best of three shuffles is reached by one in four, at most
    signs[:, 7] = np.where(flags[:, 4], 1, -1)
    found = label_information(signs, Labels(flags), list("abcdef"), "attribute", seed=0)
    assert found.name(7)["concept"] == "e" and found.name(7)["beats_chance"]


def test_no_label_tells_nothing():
    signs = np.ones((4, 3), np.int8)
    assert label_information(signs, Labels(np.full(4, 99999)), ["a"], "class", seed=0) is None
    assert label_information(signs, Labels(np.zeros((4, 0), bool)), [], "attribute", seed=0) is None


def test_cards_of_codes():
    codes = np.random.default_rng(1).random((50, 3)).astype(np.float32)
    codes[:, 1], codes[:, 2] = 0.25, 0.5
    codes[[4, 9], 1] = 1.0
    cards = bit_cards(codes, np.array([[0.9, 0, 1.0], [0.4, 0.6, 1.0]], np.float32), seed=0)
    assert [card.number for card in cards] == [1, 2, 3]
    first = cards[0]
    assert first.top == np.argsort(-codes[:, 0], kind="stable")[:12].tolist()
    assert first.near == np.argsort(np.abs(codes[:, 0] - np.float32(0.5)), kind="stable")[:12].tolist()
    assert sum(first.histogram) == 50 and first.classes == [[0, 0.9]]
    assert all(codes[image, 0] > 0.5 for image in first.random) and len(set(first.random)) == 12
    assert cards[1].random == [4, 9] and cards[1].top[:3] == [4, 9, 0]
    assert cards[1].share == 0.04 and cards[1].entropy == pytest.approx(0.2423, abs=1e-4)
    assert (cards[2].share, cards[2].entropy, cards[2].random, cards[2].near[0]) == (0, 0, [], 0)
    assert cards[2].classes == [[0, 1.0], [1, 1.0]]
    assert bit_cards(codes, None, seed=0)[0].random == first.random
    assert bit_cards(codes, None, seed=1)[0].random != first.random
