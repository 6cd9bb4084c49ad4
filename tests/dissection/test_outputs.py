"""Result files: the official table to the byte, and what else is written beside it."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from ibc.config import ModelConfig
from ibc.dissection import Settings, Tally, dissect, load_broden
from ibc.dissection.outputs import finished, load_tally, save_tally, write_results, write_tally_csv
from ibc.dissection.page.layer_page import bars, display_name, unit_order
from ibc.dissection.page.strips import write_strips
from ibc.errors import InputError
from ibc.network import IBC
from tests.dissection.data import IMAGE, Filters, write_broden
from tests.dissection.slow_tally import resize, slow_counts
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


def test_official_table_to_the_byte(golden, tmp_path):
    broden = load_broden(golden / "dissect_data")
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


def test_order_of_the_page(tally):
    rows = unit_order(tally, 0.02)
    good = [row for row in rows if tally.score[row] >= 0.02]
    assert rows[: len(good)] == good  # units below the threshold come last, by score
    assert [tally.score[row] for row in rows[len(good) :]] == sorted((tally.score[row] for row in rows[len(good) :]),
                                                                      reverse=True)
    order = ["object", "scene", "part", "material", "texture", "color"]
    places = [order.index(tally.categories[tally.category[row]]) for row in good]
    assert places == sorted(places)


def test_names_for_people():
    assert [display_name(name) for name in ("red-c", "street-s", "tall_tree", "t-shirt")] == [
        "red", "street", "tall tree", "t-shirt"]


def test_strips(broden, tmp_path):
    """Against the description: image times (0.2 + 0.8 mask), white gaps of 3 pixels."""
    from PIL import Image

    tally = dissect(Filters(), broden, FAST)
    (tmp_path / "features-0099.jpg").write_bytes(b"of an older run")
    (tmp_path / "other-0099.jpg").write_bytes(b"of another layer")
    write_strips(tmp_path, tally, broden, IMAGE, threads=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(f"features-{unit:04d}.jpg" for unit in range(7)), "other-0099.jpg"]
    strip = np.asarray(Image.open(tmp_path / "features-0002.jpg")).astype(float)
    assert strip.shape == (IMAGE[0], 3 * IMAGE[1] + 2 * 3, 3)
    index = {record.image: place for place, record in enumerate(broden.records)}
    for place in range(3):
        image = broden.read_image(index[tally.image_names[tally.top_images[2, place]]]).permute(1, 2, 0).numpy()
        mask = resize(tally.top_maps[2, place], IMAGE) > tally.thresholds[2]
        expected = image * (0.2 + 0.8 * mask[..., None])
        found = strip[:, place * (IMAGE[1] + 3) : place * (IMAGE[1] + 3) + IMAGE[1]]
        assert np.abs(found - expected).mean() < 25  # noise suffers from JPEG
        assert np.abs(found - image).mean() > np.abs(found - expected).mean() + 10
    assert strip[:, IMAGE[1] : IMAGE[1] + 3].mean() > 200
