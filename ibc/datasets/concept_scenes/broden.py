"""The pixel masks of the concepts in Broden's format, as network dissection reads it.

Label maps are PNGs (label = R + 256 G) of half the image's size, one for each category that an image shows. The scene
is a label of the whole image in ``index.csv``. The tables state true counts: frequency is the number of images with the
label, coverage the sum over images of the share of pixels that have it (1 for a scene).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ibc.csv_writer import CsvWriter
from ibc.data.image_bytes import image_bytes
from ibc.datasets.concept_scenes.drawing import SceneImage
from ibc.datasets.concept_scenes.vocabulary import CONCEPTS, PLANES
from ibc.files import atomic_write

# The label of the first concept of each category; the order is that of Broden's category columns.
FIRST_NUMBER = {"color": 1, "object": 101, "part": 201, "scene": 401, "texture": 301}
_SUFFIX = {"color": "-c", "scene": "-s"}  # Broden's own way to tell the colour orange from the fruit


@dataclass(frozen=True)
class BrodenLabel:
    """A row of ``label.csv``. number: in the label maps. name: of the concept. category: of the concept."""

    number: int
    name: str
    category: str


LABELS = {
    number: BrodenLabel(number, name.replace(" ", "_") + _SUFFIX.get(category, ""), category)
    for category, first in FIRST_NUMBER.items()
    for number, name in enumerate(CONCEPTS[category], first)
}


def write_maps(images: Path, stem: str, image: SceneImage, scene: str) -> dict[int, int]:
    """Store the label maps of an image as ``<stem>_<category>.png``; returns label number -> pixels.

    A category without a labelled pixel gets no file. The scene counts as all pixels.
    """
    pixels: dict[int, int] = {}
    for category in PLANES:
        plane = image.maps[category]
        numbers = np.where(plane > 0, plane.astype(np.uint16) + np.uint16(FIRST_NUMBER[category] - 1), np.uint16(0))
        found, counts = np.unique(numbers[numbers > 0], return_counts=True)
        pixels.update(zip(found.tolist(), counts.tolist(), strict=True))
        if len(found):
            colour = np.stack([numbers % 256, numbers // 256, np.zeros_like(numbers)], axis=-1).astype(np.uint8)
            with atomic_write(images / _map_name(stem, category), sync=False) as handle:
                handle.write(image_bytes(Image.fromarray(colour), "PNG"))
    pixels[FIRST_NUMBER["scene"] + CONCEPTS["scene"].index(scene)] = plane.size
    return pixels


def write_tables(folder: Path, images: Mapping[str, Mapping[int, int]], size: int) -> None:
    """Write index.csv, category.csv, label.csv and the c_ files.

    images: stem -> what ``write_maps`` returned for it, in the order of the index. size: side of the images in pixels.
    """
    side = size // 2
    frequency: dict[int, int] = defaultdict(int)
    coverage: dict[int, int] = defaultdict(int)  # pixels
    for pixels in images.values():
        for number, count in pixels.items():
            frequency[number] += 1
            coverage[number] += count
    share = {number: f"{count / side ** 2:.5f}" for number, count in coverage.items()}
    shown = {category: [LABELS[number] for number in sorted(frequency) if LABELS[number].category == category]
             for category in FIRST_NUMBER}
    shown = {category: labels for category, labels in shown.items() if labels}

    rows = []
    images_with = dict.fromkeys(shown, 0)
    for stem, pixels in images.items():
        cells = dict.fromkeys(shown, "")
        for number in pixels:
            category = LABELS[number].category
            cells[category] = str(number) if category == "scene" else _map_name(stem, category)
        for category, cell in cells.items():
            images_with[category] += bool(cell)
        rows.append([f"{stem}.jpg", "val", size, size, side, side, *cells.values()])
    _write_csv(folder / "label.csv", ["number", "name", "category", "frequency", "coverage", "syns"], (
        [number, LABELS[number].name, f"{LABELS[number].category}({frequency[number]})", frequency[number],
         share[number], ""] for number in sorted(frequency)))
    for category, labels in shown.items():
        _write_csv(folder / f"c_{category}.csv", ["code", "number", "name", "frequency", "coverage"], (
            [code, item.number, item.name, frequency[item.number], share[item.number]]
            for code, item in enumerate(labels, start=1)))
    _write_csv(folder / "category.csv", ["name", "first", "last", "count", "frequency"], (
        [category, labels[0].number, labels[-1].number, len(labels), images_with[category]]
        for category, labels in shown.items()))
    _write_csv(folder / "index.csv", ["image", "split", "ih", "iw", "sh", "sw", *shown], rows)


def _map_name(stem: str, category: str) -> str:
    return f"{stem}_{category}.png"


def _write_csv(path: Path, header: list[str], rows: Iterable[list]) -> None:
    with atomic_write(path, "w") as handle:
        writer = CsvWriter(handle)
        writer.row(header)
        writer.rows(rows)
