"""Result files: the official table to the byte, and what else is written beside it."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from ibc.config import ModelConfig
from ibc.dissection import Settings, Tally, dissect, load_broden
from ibc.dissection.outputs import finished, load_tally, save_tally, write_results, write_tally_csv
from ibc.dissection.page.layer_page import bars
from ibc.errors import InputError
from ibc.network import IBC
from tests.dissection.data import write_broden
from tests.dissection.slow_tally import slow_counts
from tests.official_weights import set_official_weights

FAST = Settings(workers=0, device="cpu", batch_size=12, null=4, quantile=0.1, top_n=3)


@pytest.fixture(scope="module")
def broden(tmp_path_factory):
    return load_broden(write_broden(tmp_path_factory.mktemp("data") / "broden", count=24))


@pytest.fixture(scope="module")
def tally(broden):
    model = IBC(ModelConfig(7, 3, 0.0, pretrained="none", fc_dim=16))
    set_official_weights(model)
    return dissect(model, broden, dataclasses.replace(FAST, image_size=(64, 64)))


def test_official_table_to_the_byte(golden, golden_photographs, tmp_path):
    broden = load_broden(golden_photographs / "dissect_data")
    maps = np.load(golden / "dissect_features.npz")["features"]
    thresholds = np.load(golden / "dissect_quantile.npy")
    planes = [broden.read_planes(index) for index in range(len(broden))]
    both, activation, truth, pixels = slow_counts(maps, thresholds, planes,
                                                  [record.scalars for record in broden.records], broden.primary, 4)
    empty = np.zeros((32, 0))
    tally = Tally("conv_last", np.arange(1, 33), thresholds, 0.0, broden.categories, broden.names, broden.primary,
                  both.astype(np.int64), activation.astype(np.int64), truth.astype(np.int64), pixels, empty, empty,
                  empty, empty, [], len(broden))
    write_tally_csv(tmp_path / "tally.csv", tally)
    assert (tmp_path / "tally.csv").read_bytes() == (golden / "dissect_tally.csv").read_bytes()


def test_ties_and_empty_units(tally):
    still = dataclasses.replace(tally, both=np.zeros_like(tally.both))
    assert (still.label == 0).all() and (still.score == 0).all()
    assert (still.category == len(still.categories) - 1).all()  # the later category of equals
    assert still.by_score.tolist() == list(range(6, -1, -1))  # the higher unit first
    assert still.coverage(0.0)["all"] == (0, 0)
    assert bars(still, 0.01) == []


def test_unit_table(tally, tmp_path):
    write_results(tmp_path, tally, 0.01)
    with open(tmp_path / "units.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [int(row["unit"]) for row in rows] == list(range(1, 8))
    for row, record in zip(rows, json.loads((tmp_path / "tally.json").read_text())["units"], strict=True):
        assert float(row["iou"]) == record["iou"] == record["best"][row["category"]]["iou"]
        assert float(row["chance"]) == max(record["chance"]) and len(record["chance"]) == 4
        assert (row["beats_chance"] == "1") == record["beats_chance"] == (record["iou"] > max(record["chance"]))
        assert int(row["both_on"]) == record["bit"]["both_on"]
        assert record["unit_index"] == record["unit"] - 1
        assert len(record["top_images"]) == 3
    np.testing.assert_array_equal(np.load(tmp_path / "quantile.npy"), tally.thresholds)


def test_summary_counts(tally, tmp_path):
    write_results(tmp_path, tally, 0.02)
    found = json.loads((tmp_path / "tally.json").read_text())["summary"]
    assert list(found) == ["iou_0.02", "iou_0.04", "above_chance"]
    for rule, chosen in (("iou_0.02", tally.score >= 0.02), ("above_chance", tally.score > tally.null.max(1))):
        assert found[rule]["all"] == {"units": chosen.sum(), "concepts": len(set(tally.label[chosen]))}
        assert sum(found[rule][name]["units"] for name in tally.categories) == chosen.sum()


def test_saved_tally_comes_back(tally, tmp_path):
    save_tally(tmp_path / "tally.npz", dataclasses.replace(tally, key="k"))
    again = load_tally(tmp_path)
    for field in dataclasses.fields(Tally):
        if field.name not in ("alignment", "key", "settings"):
            np.testing.assert_array_equal(getattr(again, field.name), getattr(tally, field.name))
    np.testing.assert_array_equal(again.alignment.correlation, tally.alignment.correlation)
    assert finished(tmp_path, "k") is not None
    assert finished(tmp_path, "other") is None


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04torn"])
def test_a_torn_tally_is_not_taken(tmp_path, content):
    (tmp_path / "tally.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"tally\.npz: found an unreadable file"):
        load_tally(tmp_path)
    assert finished(tmp_path, "k") is None
