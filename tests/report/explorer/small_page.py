"""A few images with codes, labels, names and a dissection, and what a page's data.js says, read as a browser would."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ibc.codes import CodeSet, save_codes
from tests.small_run import make_images

CLASSES = ["sea", "<img src=x onerror=alert(1)>", "town"]
ATTRIBUTES = ["blue", "</script>"]


@dataclass
class SmallSet:
    """codes: their file. images: folder. class_names, attribute_names, dissection: files and a folder."""

    codes: Path
    images: Path
    class_names: Path
    attribute_names: Path
    dissection: Path

    @property
    def flags(self) -> list[str]:
        return [str(self.codes), "--images", str(self.images), "--class_names", str(self.class_names),
                "--attribute_names", str(self.attribute_names), "--dissection", str(self.dissection),
                "--workers", "1"]


def small_codes(names: list[str], length: int = 40, seed: int = 0) -> CodeSet:
    """Codes in which bit 0 says class 0 and bit 1 says attribute 0; the first code has an undecided bit."""
    random = np.random.default_rng(seed)
    count = len(names)
    labels = np.zeros((count, 1 + len(ATTRIBUTES)), np.float32)
    labels[:, 0] = np.arange(count) % len(CLASSES)
    labels[:, 1:] = random.integers(0, 2, (count, len(ATTRIBUTES)))
    codes = random.random((count, length)).astype(np.float32)
    codes[:, 0] = np.where(labels[:, 0] == 0, 0.9, 0.1)
    codes[:, 1] = np.where(labels[:, 1] == 1, 0.8, 0.2)
    codes[0, 2] = 0.5
    labels[-1, 0] = 99999
    return CodeSet(codes, labels, random.random((len(CLASSES), length)).astype(np.float32), names)


def make_set(folder: Path, count: int = 30, length: int = 40) -> SmallSet:
    """Images with codes of ``length`` bits, and all that a page can show of them."""
    names = make_images(folder / "images", count)
    save_codes(folder / "codes.npz", small_codes(names, length))
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    (folder / "attributes.txt").write_text("".join(f"{name}\n" for name in ATTRIBUTES))
    return SmallSet(folder / "codes.npz", folder / "images", folder / "classes.txt", folder / "attributes.txt",
                    write_dissection(folder / "dissection", length))


def write_dissection(folder: Path, length: int) -> Path:
    """A tally.json that names every unit, and strips of the first three."""
    units = [{"unit": number, "chance": [0.01, 0.02], "bit": {"correlation": 0.5 + number / 1000},
              "best": {"object": {"label": f"thing {number}-s", "iou": 0.1}, "color": {"label": "red-c", "iou": 0.015}}}
             for number in range(1, length + 1)]
    (folder / "html" / "image").mkdir(parents=True)
    (folder / "tally.json").write_text(json.dumps({"layer": "conv", "units": units, "settings": {"units": None}}))
    for number in range(3):
        Image.new("RGB", (30, 10), (number, 0, 0)).save(folder / "html" / "image" / f"conv-{number:04d}.jpg")
    return folder


def read_data(page: Path) -> dict:
    """``IBC_DATA`` of a page; the script is one assignment of JSON."""
    text = (page / "data.js").read_bytes().decode("ascii")
    head, tail = "window.IBC_DATA = ", ";\n"
    assert text.startswith(head) and text.endswith(tail)
    assert "<" not in text
    return json.loads(text[len(head):-len(tail)])


def numbers(text: str, kind: str) -> np.ndarray:
    """The array of a base64 field; kind: as numpy names it, such as "<u4"."""
    return np.frombuffer(base64.b64decode(text), kind)


def paths_of(data: dict) -> list[str]:
    """The front-coded paths in the order of the images, joined as JavaScript does: lengths count UTF-16 units."""
    paths, before = [], b""
    for rest, shared in zip(data["paths"], numbers(data["paths_shared"], "u1").tolist(), strict=True):
        before = before[: 2 * shared] + rest.encode("utf-16-le")
        paths.append(before.decode("utf-16-le"))
    if data.get("paths_order") is None:
        return paths
    by_image = dict(zip(numbers(data["paths_order"], "<i4").tolist(), paths, strict=True))
    return [by_image[image] for image in range(len(paths))]


def signs_of(data: dict) -> np.ndarray:
    """(N, K) signs of the packed codes."""
    words = numbers(data["codes"], "<u4").reshape(data["words"], data["count"])
    bits = np.arange(data["code_length"])
    signs = np.where((words[bits >> 5] >> (bits % 32)[:, None].astype(np.uint32) & 1).T, 1, -1)
    if data["undecided"] is not None:
        images, undecided = numbers(data["undecided"], "<i4").reshape(-1, 2).T
        signs[images, undecided] = 0
    return signs
