"""Running ``prepare`` in tests, and reading what it made."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from pathlib import Path

from ibc.commands.prepare import COMMAND as main
from ibc.data.list_file import read_list
from tests.datasets.replicas import jpeg


def prepare(*arguments: object) -> dict:
    """Run the command in this process; its manifest."""
    words = [str(word) for word in arguments]
    assert main([*words, "--workers", "1"]) == 0
    destination = words[2] if words[0] == "folder" else words[1]
    return json.loads(Path(destination, "manifest.json").read_text())


def rows(folder: Path, file: str) -> dict[str, list[int]]:
    """List row by image name without "images/" and ending; the images must be there."""
    images = read_list(file, folder)
    for path in images.files:
        assert Path(path).is_file()
    return {os.path.splitext(name)[0].removeprefix("images/"): row
            for name, row in zip(images.names, images.labels.astype(int).tolist(), strict=True)}


def skipped(folder: Path) -> dict[str, str]:
    with open(folder / "skipped.csv", newline="") as handle:
        return {row["image"]: row["reason"] for row in csv.DictReader(handle)}


def tree_digest(folder: Path) -> dict[str, str]:
    """Every file that a user sees -> SHA-256; without config.yaml, which names the folder itself."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and ".prepare" not in path.parts and path.name != "config.yaml"}


def class_tree(per_class: int = 4, classes: tuple[str, ...] = ("ant", "bee")) -> dict[str, bytes]:
    return {f"{label}/{number}.jpg": jpeg(10 * place + number)
            for place, label in enumerate(classes) for number in range(per_class)}
