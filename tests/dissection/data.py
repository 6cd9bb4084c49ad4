"""A small Broden-format data set with everything the format allows, and encoders to dissect on it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

COLUMNS = ["image", "split", "ih", "iw", "sh", "sw", "color", "object", "part", "material", "scene", "texture"]
LABELS = {  # number: (name, {category: coverage}); 4 and 8 are unused
    1: ("red-c", {"color": "3.5"}), 2: ("green-c", {"color": "0.5"}),
    3: ("dog", {"object": "2.0"}), 5: ("wood", {"object": "1.0", "material": "2e0"}),
    6: ("leg", {"part": "1e-3"}), 7: ("beach-s", {"scene": "4"}), 300: ("tall_tree", {"object": "1"}),
}
IMAGE, MAP = (32, 40), (19, 23)  # (height, width)


def write_table(path: Path, header: list[str], rows: list[list]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([header, *rows])


def write_plane(path: Path, labels: np.ndarray) -> None:
    pixels = np.stack([labels % 256, labels // 256, np.full_like(labels, 7)], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def blobs(rng: np.random.Generator, size: tuple[int, int], labels: list[int]) -> np.ndarray:
    """A label map of a few rectangles."""
    plane = np.zeros(size, np.int64)
    for label in labels:
        top, left = rng.integers(0, size[0] - 3), rng.integers(0, size[1] - 3)
        height, width = rng.integers(3, size[0]), rng.integers(3, size[1])
        plane[top : top + height, left : left + width] = label
    return plane


def write_broden(folder: Path, count: int = 12, seed: int = 0, map_sizes: tuple[tuple[int, int], ...] = (MAP,)) -> Path:
    """Images of noise with label maps of all kinds; the sixth image has no label at all."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    rows = []
    for number in range(count):
        name, size = f"i{number}.png", map_sizes[number % len(map_sizes)]
        Image.fromarray(rng.integers(0, 256, (*IMAGE, 3), dtype=np.uint8)).save(folder / "images" / name)
        cells = dict.fromkeys(COLUMNS, "")
        cells.update(image=name, split="train", ih=IMAGE[0], iw=IMAGE[1], sh=size[0], sw=size[1])
        for category, labels, wanted in (("color", [1, 2], number % 3 != 1), ("object", [3, 5, 300], number % 4 != 3),
                                         ("material", [5], number % 2 == 0)):
            if wanted and number != 5:
                plane = f"i{number}_{category}.png"
                write_plane(folder / "images" / plane, blobs(rng, size, labels))
                cells[category] = plane
        if number % 4 == 0:  # two maps and a constant plane in one cell
            plane = f"i{number}_object2.png"
            write_plane(folder / "images" / plane, blobs(rng, size, [300]))
            cells["object"] = f"{cells['object']};{plane};3"
        if number % 3 == 0:
            cells["scene"] = "7"
        if number % 5 == 2:
            cells["part"] = "6"
        rows.append([cells[column] for column in COLUMNS])
    write_table(folder / "index.csv", COLUMNS, rows)
    write_table(folder / "index_sm.csv", COLUMNS, rows[:4])
    write_table(folder / "category.csv", ["name", "first", "last", "count", "frequency"],
                [[name, 1, 300, 3, count] for name in ("color", "object", "part", "material", "scene")])
    write_table(folder / "label.csv", ["number", "name", "category", "frequency", "coverage", "syns"],
                [[number, name, ";".join(f"{cat}(1)" for cat in where), 1, 1.0, ""]
                 for number, (name, where) in LABELS.items()])
    for category in ("color", "object", "part", "material", "scene"):
        listed = [(number, name, where[category]) for number, (name, where) in LABELS.items() if category in where]
        write_table(folder / f"c_{category}.csv", ["code", "number", "name", "frequency", "coverage"],
                    [[code, number, name, 1, coverage] for code, (number, name, coverage) in enumerate(listed, 1)])
    return folder


class Filters(nn.Module):
    """Random filters on coarse maps."""

    def __init__(self, units: int = 7, seed: int = 0):
        super().__init__()
        self.convolution = nn.Conv2d(3, units, 5, stride=5, padding=2)
        torch.manual_seed(seed)
        nn.init.normal_(self.convolution.weight)
        nn.init.normal_(self.convolution.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.convolution(images))
