"""Counts: bit masks and matrix products against the plain loops, and against the official tally."""

import csv

import numpy as np
import pytest
import torch

from ibc.data.broden.dataset import load_broden
from ibc.dissection.counting.counts import Counts, FiringMaps, LabelGroup, partner_steps
from ibc.dissection.counting.cpu_counts import CpuCounter, CpuLabels
from ibc.dissection.counting.torch_counts import TorchCounter, TorchLabels
from ibc.dissection.tally import best_by_chance, iou_table
from tests.dissection.data import MAP, write_broden
from tests.dissection.slow_tally import slow_counts, slow_iou

KINDS = ["cpu", "torch", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


def group_of(broden):
    planes = [broden.read_planes(index) for index in range(len(broden))]
    owner = np.repeat(np.arange(len(planes)), [len(part) for part in planes])
    return LabelGroup(np.concatenate(planes), owner, [record.scalars for record in broden.records]), planes


def pairs_of(maps, thresholds):
    peaks = maps.reshape(*maps.shape[:2], -1).max(2)
    image, unit = np.nonzero(peaks.astype(np.float64) > thresholds)
    return FiringMaps(torch.from_numpy(image), torch.from_numpy(unit), torch.from_numpy(maps[image, unit]))


def count_with(kind, broden, group, maps, thresholds, pairings):
    """Counts and truth."""
    start = Counts.empty(len(thresholds), pairings, broden.label_count, len(broden.categories))
    pairs = pairs_of(maps, thresholds)
    if kind == "cpu":
        counter = CpuCounter(thresholds, broden.primary, start)
        labels = CpuLabels(group, broden.label_count)
    else:
        device = torch.device("cuda" if kind == "cuda" else "cpu")
        counter = TorchCounter(thresholds, start, device)
        labels = TorchLabels(group, torch.from_numpy(broden.primary).to(device), len(broden.categories))
    counter.add(labels, pairs)
    return counter.counts(), labels.truth()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pairings", [1, 5, 30])  # 30: more than there are images
def test_counts_equal_the_plain_loops(tmp_path, kind, pairings):
    broden = load_broden(write_broden(tmp_path / "broden"))
    group, planes = group_of(broden)
    rng = np.random.default_rng(3)
    maps = np.maximum(rng.normal(size=(len(broden), 6, 4, 5)), 0).astype(np.float32)
    maps[:, 5] = 0  # a dead unit
    thresholds = np.quantile(maps.reshape(len(broden), 6, -1), 0.9, axis=(0, 2))
    counts, found_truth = count_with(kind, broden, group, maps, thresholds, pairings)
    for pairing, step in enumerate(partner_steps(len(broden), pairings)):
        partner = (np.arange(len(broden)) + step) % len(broden)
        assert pairing == 0 or (partner != np.arange(len(broden))).all()
        both, activation, truth, pixels = slow_counts(maps, thresholds, planes, group.scalars, broden.primary,
                                                      len(broden.categories), partner)
        np.testing.assert_array_equal(counts.both[:, pairing], both)
        np.testing.assert_array_equal(counts.activation[:, pairing], activation)
        np.testing.assert_array_equal(counts.pixels, pixels)
        np.testing.assert_array_equal(found_truth, truth)
        np.testing.assert_allclose(iou_table(both, activation, truth, broden.primary),
                                   slow_iou(both, activation, truth, broden.primary), rtol=1e-15)
        if pairing:
            chance = best_by_chance(counts, truth, broden.primary)[:, pairing - 1]
            np.testing.assert_allclose(chance, slow_iou(both, activation, truth, broden.primary).max(1), rtol=1e-15)


def test_an_image_alone_is_its_own_partner():
    assert partner_steps(1, 4).tolist() == [0, 1, 1, 1]
    assert partner_steps(3, 6).tolist() == [0, 1, 2, 1, 2, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_whole_images_alone(kind):
    """No label map at all: nothing is left over from the unit or image before."""
    class Tables:
        primary, label_count, categories = np.array([1, 0, 1]), 3, ["a", "b"]

    group = LabelGroup(np.zeros((0, *MAP), np.uint16), np.zeros(0, np.int64), [(1,), (), (1, 2)])
    maps = np.ones((3, 1, 2, 2), np.float32)
    counts, truth = count_with(kind, Tables, group, maps, np.array([0.5]), 1)
    area = MAP[0] * MAP[1]
    assert counts.both[0, 0].tolist() == [0, 2 * area, area]
    assert counts.activation[0, 0].tolist() == [2 * area, area]
    assert counts.pixels.tolist() == [3 * area]
    assert truth.tolist() == [0, 2 * area, area]


@pytest.mark.parametrize("kind", KINDS)
def test_official_tally(golden, golden_photographs, kind):
    broden = load_broden(golden_photographs / "dissect_data")
    group, _ = group_of(broden)
    maps = np.load(golden / "dissect_features.npz")["features"]
    thresholds = np.load(golden / "dissect_quantile.npy")
    counts, truth = count_with(kind, broden, group, maps, thresholds, 1)
    both, activation = counts.both[:, 0], counts.activation[:, 0]
    iou = iou_table(both, activation, truth, broden.primary)
    with open(golden / "dissect_tally.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 32
    for row in rows:
        unit = int(row["unit"]) - 1
        for place, category in enumerate(broden.categories):
            label = int(np.where(broden.primary == place, iou[unit], 0).argmax())
            found = (broden.names[label], truth[label], activation[unit, broden.primary[label]], both[unit, label],
                     iou[unit, label])
            expected = tuple(row[f"{category}-{name}"] for name in ("label", "truth", "activation", "intersect", "iou"))
            assert found == (expected[0], *map(float, expected[1:])), (unit, category)
