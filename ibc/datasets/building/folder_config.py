"""A configuration that trains on a prepared folder of one's own images: that of imagenet100 with the keys filled in."""

from __future__ import annotations

import contextlib
import math
import re
from pathlib import Path
from typing import Any

import yaml

from ibc.files import atomic_write
from ibc.ready_configs import ready_config

_TEMPLATE = "imagenet100.yaml"
_BATCH, _UPDATES = 200, 5000
_GRM_PER_CLASS = 10  # thr_g over classes in the paper's imagenet100


def write_config(folder: Path, manifest: dict[str, Any], link: bool) -> Path | None:
    """Write ``config.yaml`` beside the lists, and return its path; None where a list or the classes are missing.

    link: the images are links to originals of any size, so that the loader has to resize them.
    """
    if not {"train.txt", "test.txt"} <= set(manifest["lists"]) or not manifest["class_num"]:
        return None
    images, classes = manifest["lists"]["train.txt"]["images"], manifest["class_num"]
    name = re.sub(r"[^\w.-]+", "_", manifest["data_set"]) or "own"
    text = ready_config(_TEMPLATE).read_text(encoding="utf-8")
    head = f"# {name}: {classes} classes, 256 bits; the settings of imagenet100, fewer updates.\n"
    text = re.sub(r"\A(#.*\n)+", lambda _: head, text)
    for key, value in {"model_name": yaml_text(name), "class_num": classes, "thr_g": _GRM_PER_CLASS * classes,
                       "max_iter": _UPDATES, "step_size": _UPDATES * 3 // 5, "snapshot_save_iter": _UPDATES // 2,
                       "batch_size": max(2, min(_BATCH, images // 2 * 2)),
                       "data_folder": yaml_text(f"{folder}/")}.items():
        line = f"{key}: {value}".replace("\\", r"\\")
        text = re.sub(rf"(?m)^(\s*){key}: .*$", rf"\g<1>{line}", text, count=1)
    if "class_weights" in manifest:
        weights = ", ".join(f"{weight:g}" for weight in manifest["class_weights"])
        text = text.replace("  is_sun: false\n", f"  multi_label: true\n  class_weights: [{weights}]\n")
    if link:
        text += "resize: always\n"
    with atomic_write(folder / "config.yaml", "w") as handle:
        handle.write(text)
    return folder / "config.yaml"


def yaml_text(text: str) -> str:
    """The text as a YAML value that is read as this text and nothing else: 2024, no and null stand in quotes."""
    if re.fullmatch(r"[\w./-]+", text, re.ASCII):
        with contextlib.suppress(yaml.YAMLError, ValueError):
            if yaml.safe_load(text) == text and ("/" in text or text[0].isalpha()):  # 1e3: a number in newer YAML
                return text
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=math.inf).rstrip("\n")
