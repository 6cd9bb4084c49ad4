"""What single bits and filters mean: against scikit-learn, numpy and the dissection command's own rules."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from ibc.config import load_config
from ibc.data.broden.dataset import load_broden
from ibc.dissection.encoders import IBCEncoder
from ibc.dissection.pipeline import dissect
from ibc.dissection.settings import DissectionSettings
from ibc.network import IBC
from ibc.study.meaning import bits_and_attributes, correlations, dissection_scores
from tests.dissection.data import write_broden
from tests.small_run import make_run

RANDOM = np.random.default_rng(0)
ATTRIBUTES = (RANDOM.random((400, 3)) > 0.6).astype(np.float32)


def codes_of(*columns):
    return np.stack(columns, axis=1).astype(np.float32)


def test_each_bit_is_judged_by_its_own_attribute_on_other_images():
    noise = RANDOM.random(400)
    codes = codes_of(ATTRIBUTES[:, 1], 1 - ATTRIBUTES[:, 2], noise, np.full(400, 0.5),
                     np.clip(0.6 * ATTRIBUTES[:, 0] + 0.4 * noise, 0, 1))
    found = bits_and_attributes(codes, ATTRIBUTES)
    assert found["attributes"] == 3
    assert found["average_precision"][:2] == [1, 1] and found["correlation"][:2] == pytest.approx([1, 1])
    assert found["average_precision"][3] is found["correlation"][3] is found["chance"][3] is None
    # A bit that tells nothing: about the share of the images, whichever attribute was chosen.
    assert found["average_precision"][2] == pytest.approx(found["chance"][2], abs=0.12)
    odd = slice(1, None, 2)
    assert found["average_precision"][4] == average_precision_score(ATTRIBUTES[odd, 0], codes[odd, 4])
    assert found["correlation"][4] == pytest.approx(np.corrcoef(ATTRIBUTES[odd, 0], codes[odd, 4])[0, 1])
    assert found["chance"][1] == pytest.approx((ATTRIBUTES[odd, 2] == 0).mean())
    assert found["mean_average_precision"] == pytest.approx(np.mean([found["average_precision"][bit]
                                                                     for bit in (0, 1, 2, 4)]))


def test_missing_values_are_left_out_and_rare_attributes_are_not_chosen():
    odd = ATTRIBUTES.copy()
    odd[:, 0] = 2  # nobody knows
    odd[:, 1] = 0
    odd[:3, 1] = 1  # two images of one half
    hidden = np.arange(400) % 5 == 0
    odd[hidden, 2] = 2
    codes = codes_of(np.where(hidden, 1 - ATTRIBUTES[:, 2], ATTRIBUTES[:, 2]))
    found = bits_and_attributes(codes, odd)
    assert (found["attributes"], found["told"], found["average_precision"]) == (1, 1, [1.0])
    assert bits_and_attributes(codes, odd[:, :2]) is None and bits_and_attributes(codes, odd[:, :0]) is None


def test_correlations_are_those_of_numpy():
    values, flags = RANDOM.normal(size=(50, 4)), RANDOM.random(50) > 0.5
    plain = [np.corrcoef(values[:, bit], flags)[0, 1] for bit in range(4)]
    assert correlations(values, flags) == pytest.approx(plain)


def test_filters_are_dissected_as_the_command_does(tmp_path):
    write_broden(tmp_path / "broden", count=12)
    config = load_config(make_run(tmp_path / "data", images=4))
    torch.manual_seed(0)
    model = IBC(config.model).eval()
    broden = load_broden(tmp_path / "broden")
    found = dissection_scores(model, broden, config, torch.device("cpu"))
    tally = dissect(IBCEncoder(model), broden, DissectionSettings(image_size=(72, 72), device="cpu"))
    assert (found["broden"], found["images"], found["units"]) == ("broden", len(broden), 8)
    assert found["mean_iou"] == tally.score.mean() and found["best_iou"] == tally.score.max() > 0
    assert found["above_chance"]["units"] == int(tally.beats_chance.sum())
    assert found["iou_0.04"] == {"units": int((tally.score >= 0.04).sum()), "concepts": len(
        {int(label) for label in tally.label[tally.score >= 0.04]})}
