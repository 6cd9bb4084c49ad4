"""Choices of bits: their order, their names, and what cannot be chosen."""

import numpy as np
import pytest

from ibc.labels import NO_CATEGORY, Labels
from ibc.retrieval.attribute_bits import attribute_bits
from ibc.retrieval.bit_choice import all_bits, best_concept, concept_choice, expert_choice, listed_bits, predicted_class
from tests.retrieval.test_bit_names import EXPECTED


def test_all_and_listed():
    assert all_bits(4, EXPECTED).bits.tolist() == [0, 1, 2, 3]
    choice = listed_bits(np.array([3, 1, 3]), EXPECTED)
    assert (choice.bits.tolist(), choice.title) == ([3, 1], "2 chosen bits (4, 2)")
    assert choice.names[1].concept == "blue"


def test_concepts_name_their_bits():
    choice = concept_choice(EXPECTED, ["blue"])
    assert (choice.bits.tolist(), choice.title) == ([0, 1], "2 bits of blue")
    assert choice.names[0].concept == "blue"
    assert concept_choice(EXPECTED, ["sea", "blue"]).bits.tolist() == [0, 1]
    assert concept_choice(EXPECTED, ["blue"], any_category=False).bits.tolist() == [1]


def test_the_concept_that_a_query_has_most_clearly():
    assert best_concept(EXPECTED, np.array([1, 1, 1])) == "sea"
    assert best_concept(EXPECTED, np.array([-1, 1, 1]), 0.001) == "dog"  # blue of bit 2 is not above chance
    with pytest.raises(ValueError, match="no concept among the bits that the query has"):
        best_concept(EXPECTED, np.array([-1, 1, 1]))


def test_expert_bits():
    grm = np.array([[0.1, 0.9, 0.4], [1, 1, 1]])
    choice = expert_choice(grm, 0, 2, EXPECTED, how="given", class_name="boat")
    assert (choice.bits.tolist(), choice.title) == ([1, 2], "2 expert bits of class 0 (boat)")
    assert choice.notes == ("class 0 (boat): given", "1 of these bits have a GRM entry of at most 0.5 for the class")
    with pytest.raises(ValueError, match="--class: found 2, expected a class from 0 to 1"):
        expert_choice(grm, 2, 2, EXPECTED, how="given")
    with pytest.raises(ValueError, match="without a rule matrix"):
        expert_choice(None, 0, 2, EXPECTED, how="given")


def test_the_class_is_that_of_the_neighbours_without_the_query():
    signs = np.array([[1, 1, 1], [1, 1, -1], [1, 1, -1], [-1, -1, -1]], np.int8)
    labels = Labels(np.array([7, 3, 3, 7]))
    assert predicted_class(signs[0], signs, labels, [0], 2) == 3
    assert predicted_class(signs[0], signs, labels, [], 1) == 7
    with pytest.raises(ValueError, match="give it by --class"):
        predicted_class(signs[0], signs, Labels(np.full(4, NO_CATEGORY)), [0])


def test_bits_of_an_attribute():
    random = np.random.default_rng(0)
    flags = random.random(400) < 0.3
    signs = np.where(random.random((400, 16)) < 0.5, 1, -1).astype(np.int8)
    for bit, right in ((5, 0.95), (11, 0.9)):  # two bits that tell, one of them by being 0
        agrees = random.random(400) < right
        signs[:, bit] = np.where(flags == agrees, 1, -1) * (1 if bit == 5 else -1)
    found = attribute_bits(signs, flags.astype(np.float32), "boats")
    assert found.bits[:2].tolist() == [5, 11]
    assert len(found.bits) == 2
    assert found.tried[2] > found.tried[16]
    assert (np.diff(found.information) <= 0).all()
    again = attribute_bits(signs, np.where(np.arange(400) < 50, 2, flags), "boats")  # missing values are left out
    assert again.has == flags[50:].sum()
    with pytest.raises(ValueError, match="'boats' with 0 of 400 images"):
        attribute_bits(signs, np.zeros(400), "boats")
