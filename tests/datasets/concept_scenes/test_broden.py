"""The Broden folder of the concept scenes: tables and maps against the stored files and the drawn images."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibc.data.broden.check import check_broden
from ibc.datasets.concept_scenes.dataset import SceneTask, draw_image
from ibc.datasets.concept_scenes.vocabulary import CLASSES, CONCEPTS


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


def test_broden_tables_are_true_of_the_maps(made, settings):
    """Frequencies and coverages recomputed from the stored PNGs, pixel by pixel."""
    broden = made / "broden"
    facts = check_broden(broden)
    assert facts["images"] == settings.broden and facts["label_map_sizes"] == "48x48"
    labels = {int(row["number"]): row for row in rows_of(broden / "label.csv")}
    categories = [row["name"] for row in rows_of(broden / "category.csv")]
    frequency, coverage = Counter(), Counter()
    with_category = Counter()
    for row in rows_of(broden / "index.csv"):
        size = int(row["sh"]) * int(row["sw"])
        for category in categories:
            with_category[category] += bool(row[category])
            if row[category].isdigit():
                frequency[int(row[category])] += 1
                coverage[int(row[category])] += 1
            elif row[category]:
                pixels = Counter(red + 256 * green for red, green, _ in
                                 np.asarray(Image.open(broden / "images" / row[category])).reshape(-1, 3).tolist())
                assert set(pixels) - {0}, "a stored map shows something"
                for number in set(pixels) - {0}:
                    assert labels[number]["category"].split("(")[0] == category
                    frequency[number] += 1
                    coverage[number] += pixels[number] / size
    assert set(labels) == set(frequency)
    assert max(labels) > 255
    for number, row in labels.items():
        assert int(row["frequency"]) == frequency[number]
        assert float(row["coverage"]) == pytest.approx(coverage[number], abs=6e-6)
        assert row["category"] == f"{row['category'].split('(')[0]}({row['frequency']})"
    for row in rows_of(broden / "category.csv"):
        own = [number for number in labels if labels[number]["category"].startswith(f"{row['name']}(")]
        assert [int(row[key]) for key in ("first", "last", "count", "frequency")] == [
            min(own), max(own), len(own), with_category[row["name"]]]
        codes = rows_of(broden / f"c_{row['name']}.csv")
        assert [int(code["code"]) for code in codes] == list(range(1, len(own) + 1))
        assert [int(code["number"]) for code in codes] == sorted(own)
        for code in codes:
            same = labels[int(code["number"])]
            assert all(code[key] == same[key] for key in ("name", "frequency", "coverage"))


def test_broden_maps_hold_the_masks_of_the_picture(made, settings):
    base = {"color": 1, "object": 101, "part": 201, "texture": 301}
    for index, row in enumerate(rows_of(made / "broden" / "index.csv")):
        picture = draw_image(settings, SceneTask("broden", index))
        scene = CONCEPTS["scene"].index(CLASSES[index % len(CLASSES)].scene)
        assert int(row["scene"]) == 401 + scene
        for category, first in base.items():
            plane = picture.maps[category].astype(int)
            expected = np.where(plane, plane + first - 1, 0)
            if not row[category]:
                assert not expected.any()
                continue
            stored = np.asarray(Image.open(made / "broden" / "images" / row[category])).astype(int)
            assert (stored[..., 0] + 256 * stored[..., 1] == expected).all()
