"""The class of a query without its label: vote against a slow twin, classifier against the model."""

from fractions import Fraction

import numpy as np
import pytest

from ibc.errors import InputError
from ibc.labels import Labels
from ibc.retrieval.class_prediction import classify, vote
from ibc.retrieval.engine.ranking import make_ranking


def slow_vote(query, row, items, classes, neighbours):
    """Expected votes over the order of ties: items at the last distance share the places left."""
    distance = -(items.astype(int) @ query.astype(int)).astype(float)
    voting = (classes >= 0) & (np.arange(len(items)) != row)
    places, votes = neighbours, {}
    for value in np.unique(distance[voting]):
        group = classes[voting & (distance == value)]
        weight = min(Fraction(1), Fraction(places, len(group)))
        for label in group.tolist():
            votes[label] = votes.get(label, 0) + weight
        places -= weight * len(group)
        if places <= 0:
            break
    return min((-count, label) for label, count in votes.items())[1] if votes else -1


@pytest.mark.parametrize("neighbours", [1, 5, 1000])
@pytest.mark.parametrize("self_match", ["exclude", None])
def test_vote_equals_the_slow_twin(neighbours, self_match):
    random = np.random.default_rng(neighbours)
    signs, classes = random.choice([-1, 0, 1], (300, 9), p=[0.45, 0.1, 0.45]), random.choice([-1, 3, 4, 9], 300)
    ranking = make_ranking(signs, classes, signs, classes, self_match)
    twin = [slow_vote(signs[i], i if self_match else -1, signs, classes, neighbours) for i in range(300)]
    assert vote(ranking, Labels(classes), neighbours).tolist() == twin


def test_nobody_votes():
    ranking = make_ranking(np.ones((2, 3)), [0, 0], np.ones((2, 3)), [0, 0], "exclude")
    assert vote(ranking, Labels(np.array([-1, -1]))).tolist() == [-1, -1]


def test_the_classifier_reads_sigmoid_codes(tmp_path):
    import torch

    from ibc.checkpoint import save_checkpoint
    from ibc.config import ModelConfig
    from ibc.network import IBC

    model = IBC(ModelConfig(code_len=8, class_num=3, thr_g=0.0, pretrained="none", fc_dim=16))
    path = save_checkpoint(tmp_path, model, 1, {})
    codes = np.random.default_rng(0).random((20, 8), np.float32)
    with torch.inference_mode():
        wanted = model.classify_codes(torch.from_numpy(codes)).argmax(dim=1)
    assert classify(codes, path).tolist() == wanted.tolist()
    with pytest.raises(InputError, match="a model of 8 bits, expected 5"):
        classify(codes[:, :5], path)


@pytest.mark.parametrize("neighbours", [1, 6])
def test_items_vote_for_each_of_their_labels(neighbours):
    random = np.random.default_rng(neighbours)
    signs, sets = random.choice([-1, 1], (120, 9)), random.random((120, 4)) < 0.3
    ranking = make_ranking(signs, sets, signs, sets, "exclude")
    for row, winner in enumerate(vote(ranking, Labels(sets), neighbours)):
        voting = sets.any(axis=1) & (np.arange(120) != row)
        distance = -(signs @ signs[row])
        last = np.sort(distance[voting])[neighbours - 1]
        inside, tied = voting & (distance < last), voting & (distance == last)
        share = Fraction(int(neighbours - inside.sum()), int(tied.sum()))
        votes = [int(sets[inside, label].sum()) + share * int(sets[tied, label].sum()) for label in range(4)]
        assert winner == votes.index(max(votes))


def test_a_model_of_other_classes(tmp_path):
    from ibc.checkpoint import save_checkpoint
    from ibc.config import ModelConfig
    from ibc.network import IBC

    path = save_checkpoint(tmp_path, IBC(ModelConfig(code_len=8, class_num=3, thr_g=0.0, pretrained="none",
                                                     fc_dim=16)), 1, {})
    with pytest.raises(InputError, match="a model of 3 classes, expected 7"):
        classify(np.ones((2, 8), np.float32), path, 7)
