"""What ``ibc quickstart`` decides by itself: labels or none, the configuration, and which scores it shows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml

from ibc.backbones.table import BACKBONES
from ibc.config import load_config
from ibc.data.list_file import ImageList, read_list, write_list
from ibc.datasets.building.layout import looks_like_image
from ibc.datasets.building.source_tree import SourceTree
from ibc.datasets.prepare.photos import LIST
from ibc.files import atomic_write
from ibc.json_report import read_json
from ibc.ready_configs import ready_config

TEMPLATE = "own_photos.yaml"
MOST_BATCH = 200
FEWEST_UPDATES, MOST_UPDATES, EPOCHS = 200, 2000, 30
GATES = 13          # bits of a class, as evaluation takes them
LITE2_CROP = 260    # pixels that Lite2 was trained on
MOST_GROUPS, IMAGES_A_GROUP = 60, 25


def has_classes(source: str | os.PathLike) -> bool:
    """Whether a folder, zip or tar has images in at least two class folders."""
    tree = SourceTree(source, None, by_class=True)
    return len({tree.label(path) for path in tree.members if looks_like_image(path)} - {None}) > 1


def require_backbone(name: str, *, weights_given: bool) -> None:
    """Raise InputError now, rather than after minutes, where a backbone comes as a package that is not installed."""
    entry = BACKBONES[name]
    if entry.file is not None:
        with torch.device("meta"):
            entry.trunk()
        if not weights_given:
            entry.file()


def train_list_of(data: Path) -> bool:
    """Write ``all.txt``, the training and the test list in one, beside them; whether there is a test list."""
    lists: list[ImageList] = [read_list(name, data) for name in ("train.txt", "test.txt") if (data / name).exists()]
    if lists:
        write_list(data / "all.txt", [name for part in lists for name in part.names],
                   [row for part in lists for row in part.labels.astype(int).tolist()])
    return len(lists) > 1


def write_own_config(path: Path, data: Path, manifest: dict[str, Any], *, backbone: str, weights_file: str | None,
                     bits: int, updates: int | None, seed: int, labelled: bool) -> None:
    """The ready configuration for own photographs, with what depends on them filled in.

    bits: of a code; without labels at most a quarter of the photographs. updates: None takes a number by the
    photographs.
    """
    trained = "train.txt" if labelled else LIST
    images = manifest["lists"][trained]["images"]
    batch = max(2, min(MOST_BATCH, images // 2 * 2))
    classes = manifest["class_num"] if labelled else max(2, min(MOST_GROUPS, images // IMAGES_A_GROUP))
    if not labelled:
        bits = max(1, min(bits, images // 4))
    updates = updates or max(FEWEST_UPDATES, min(MOST_UPDATES, EPOCHS * images // batch))
    values: dict[str, Any] = {
        "model.code_len": bits, "model.class_num": classes, "model.thr_g": GATES * classes, "model.backbone": backbone,
        "batch_size": batch, "max_iter": updates, "warm_up": updates // 20, "snapshot_save_iter": max(1, updates // 2),
        "seed": seed, "data_folder": f"{data.resolve()}/", "train_list_file": trained,
        "test_list_file": "test.txt" if "test.txt" in manifest["lists"] else trained}
    if weights_file is not None:
        values["model.weights_file"] = str(Path(weights_file).resolve())
    if backbone.endswith("lite2"):
        values |= {"new_size": LITE2_CROP, "crop_image_height": LITE2_CROP, "crop_image_width": LITE2_CROP}
    config = load_config(ready_config(TEMPLATE), [f"{key}={yaml.safe_dump(value, width=10**6).split(chr(10))[0]}"
                                                  for key, value in values.items()])
    with atomic_write(path, "w") as handle:
        handle.write(f"# made by ibc quickstart from {TEMPLATE}; what each key means: ibc/config.py\n")
        yaml.safe_dump(config.as_dict(), handle, sort_keys=False)


def scores_of(extraction: Path, scores: Path) -> Iterator[str]:
    """The few numbers that say how good the codes are, on the photographs that were kept from training."""
    if not (extraction.exists() and scores.exists()):
        yield "no photograph was kept for the scores"
        return
    accuracy = read_json(extraction, "an extraction")["metrics"].get("code_accuracy")
    metrics = read_json(scores, "an evaluation")["metrics"]
    maps = {words: metrics[f"ties_{key}"]["trusted"]["expected"]
            for words, key in (("mAP, all bits", "category_map"),
                               (f"mAP, {GATES} expert bits of the true class", f"expert_map_top{GATES}"))
            if f"ties_{key}" in metrics}
    yield "on the photographs that were kept from training (each query left out, ties in the mean of all orders):"
    for words, value in {"accuracy of the code classifier": accuracy, **maps}.items():
        if value is not None:
            yield f"  {words}: {value:.3f}"
