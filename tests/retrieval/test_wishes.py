"""Queries of examples, wishes and weights, against the distances that they are meant to give."""

import numpy as np
import pytest

from ibc.codes import binarise
from ibc.retrieval.bit_names import BitName
from ibc.retrieval.index import search
from ibc.retrieval.wishes import Query, apply_wish, check_query, make_wish, query_of_examples, read_weights, weigh


def codes(seed, count, length=12):
    return np.random.default_rng(seed).random((count, length)).astype(np.float32)


def name(bit, concept, iou=0.2):
    return BitName(bit, concept, "scene", iou, None, None)


def test_one_example_is_plain_hamming_distance():
    example = codes(0, 1)
    query = query_of_examples(example)
    assert np.array_equal(query.signs, binarise(example)[0])
    assert (query.weights == 1).all()
    assert np.allclose(query.margin, np.abs(2 * example[0] - 1))


def test_several_examples_order_by_the_difference_of_mean_distances():
    positive, negative, database = codes(1, 3), codes(2, 2), binarise(codes(3, 60))
    query = query_of_examples(positive, negative)

    def mean_distance(examples):
        return (binarise(examples)[None] != database[:, None]).sum(axis=2).mean(axis=1)

    wanted = mean_distance(positive) - mean_distance(negative)
    found = search(database, query.signs[None], weights=query.weights, top=60)
    ordered = wanted[found.rows[0]]
    assert (np.diff(ordered) >= -1e-9).all()
    # and the steps are the same but for the factor 2 that keeps the query within -1 and 1
    assert np.allclose(np.diff(found.distances[0]), np.diff(ordered) / 2)


def test_examples_that_cancel_out_decide_nothing():
    query = query_of_examples(codes(0, 1), codes(0, 1))
    with pytest.raises(ValueError, match="no weight on any of the 12 chosen bits"):
        check_query(query, np.arange(12))
    with pytest.raises(ValueError, match="found none, expected at least one bit to search by"):
        check_query(query, [])


def test_a_wish_sets_its_bits():
    wish = make_wish([name(1, "sea"), name(4, "sea")], [name(2, "disc")])
    alone = apply_wish(wish, None, 6)
    assert alone.signs.tolist() == [0, 1, -1, 0, 1, 0]
    assert alone.weights.tolist() == [0, 1, 1, 0, 1, 0]
    with_example = apply_wish(wish, Query(np.full(6, -1, np.int8), np.full(6, 0.5)), 6)
    assert with_example.signs.tolist() == [-1, 1, -1, -1, 1, -1]
    assert with_example.weights.tolist() == [0.5, 1, 1, 0.5, 1, 0.5]


def test_a_bit_of_two_concepts_goes_to_the_better_one():
    wish = make_wish([name(1, "sea", 0.1), name(2, "sea")], [name(1, "disc", 0.3), name(3, "disc")])
    assert [entry.bit for entry in wish.want] == [2]
    assert [entry.bit for entry in wish.without] == [1, 3]
    assert wish.notes == ("bit 2 detects both sea and disc; it is taken for disc, IoU 0.300 against 0.100",)
    with pytest.raises(ValueError, match="no bit left for 'sea'"):
        make_wish([name(1, "sea", 0.1)], [name(1, "disc", 0.3)])
    with pytest.raises(ValueError, match="'sea', which --want names too"):
        make_wish([name(1, "sea")], [name(1, "sea")])


def test_weights(tmp_path):
    query = query_of_examples(np.array([[0.9, 0.2, 0.6]], np.float32))
    bits = np.arange(3)
    assert np.allclose(weigh(query, "margin", {}, bits).weights, [0.8, 0.6, 0.2])
    assert np.allclose(weigh(query, "iou", {1: name(1, "sea", 0.3)}, bits).weights, [0, 0.3, 0])
    named = {0: name(0, "sea"), 2: name(2, "sea")}
    assert weigh(query, "concept", named, bits).weights.tolist() == [0.5, 1, 0.5]
    assert weigh(query, "concept", named, bits[:2]).weights.tolist() == [1, 1, 1]
    assert weigh(query, None, {}, bits) is query
    file = tmp_path / "weights.txt"
    file.write_text("# of three bits\n1, 0\n2.5\n")
    assert weigh(query, str(file), {}, bits).weights.tolist() == [1, 0, 2.5]
    for text, message in (("1 2\n", "2 weights, expected 3"), ("1\n-2\n3", ":2: found '-2'"), ("1 x 2", "'x'"),
                          ("1 nan 2", "'nan'"), ("1 inf 2", "'inf'")):
        file.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_weights(file, 3)
    with pytest.raises(ValueError, match="iou without a dissection"):
        weigh(query, "iou", {}, bits)
    with pytest.raises(ValueError, match="margin with a query of concepts alone"):
        weigh(apply_wish(make_wish([name(1, "sea")], []), None, 3), "margin", {}, bits)
