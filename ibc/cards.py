"""Cards: Markdown pages that say what a prepared data set or a trained model is, for whoever gets it.

A card begins with front matter as model hubs read it. Its ``license`` is a field for the owner: it is ``unknown`` until
somebody writes there, and a card that is written anew keeps it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from ibc.config import Config
from ibc.data.zip_folder import file_of, read_bytes
from ibc.errors import InputError
from ibc.files import atomic_write
from ibc.json_report import MOST_BYTES, parse_json, versions
from ibc.text_files import printable

DATA_CARD, MODEL_CARD = "data_card.md", "model_card.md"
MOST_TEXT = 300  # characters of a cell
_LICENCE = re.compile(r"^license: *([^\n]{1,100})$", re.MULTILINE)
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|#])")


def write_data_card(folder: str | os.PathLike, manifest: dict[str, Any]) -> None:
    """Write ``data_card.md`` beside the manifest of a prepared folder, from the manifest."""
    path, name = Path(folder, DATA_CARD), _cell(manifest["data_set"])
    images = manifest["images"]
    rows = [("rule of the split", manifest["rule"]), ("seed of the split", manifest["seed"]),
            ("source", _sources(manifest.get("source"))), ("classes", manifest["class_num"]),
            ("attributes", len(manifest["attributes"])), ("images", images["count"]),
            *((f"list {file}", f"{facts['images']} images, SHA-256 {facts['sha256']}")
              for file, facts in manifest["lists"].items()),
            *((f"handled: {what}", count) for what, count in images.get("handled", {}).items()),
            ("left out (skipped.csv)", images.get("skipped")), *(("note", note) for note in manifest.get("notes", []))]
    _write(path, [f"# Data set: {name}", "",
                  "Prepared by `ibc prepare`. `manifest.json` holds these facts, and more, for programs.", "",
                  *_table(rows), "", "## Licence", "",
                  "The images keep the terms of their source. Write them into the first lines of this file, at "
                  "`license`, before you pass the folder on."])


def write_model_card(folder: str | os.PathLike, config: Config, checkpoint: str, images: int,
                     val_map: float | None) -> None:
    """Write ``model_card.md`` of a run beside its ``config.yaml``.

    checkpoint: the newest one, as the table names it. images: length of the training list. val_map: of the last
    validation.
    """
    model = config.model
    start = "features of a trunk that stays as it was" if model.freeze == "backbone" else (
        "all layers are trained" + ("" if model.pretrained == "none" else ", from published weights of the trunk"))
    score = "none yet; ibc evaluate says how good its codes are" if val_map is None else (
        f"mAP {val_map:.4f} on up to {config.val_num} images of the test list, queries kept, at the last validation")
    values = {**config.as_dict(), "data_folder": os.path.basename(os.path.normpath(config.data_folder))}
    _write(Path(folder, MODEL_CARD), [
        f"# Model: {_cell(config.model_name)}", "",
        f"It makes a code of {model.code_len} bits of an image. Made by `ibc train`; "
        "`ibc extract --checkpoint` uses it.", "",
        *_table([("newest checkpoint", checkpoint), ("objective", config.objective),
                 ("trunk", f"{model.backbone}; {start}"), ("classes", model.class_num), ("training images", images),
                 ("scores", score),
                 *((f"version of {name}", version) for name, version in versions().items())]), "",
        "## Data", "", *_data(config), "",
        "## Configuration", "", "```yaml", yaml.safe_dump(values, sort_keys=False).rstrip(), "```", "",
        "## Licence", "",
        "Write it into the first lines of this file, at `license`, before you pass the model on. What the trunk's "
        "published weights and the training images allow is for their owners to say."])


def _sources(named: Any) -> str | None:
    """The sources of a manifest, one or several, as text: names, and sizes of archives."""
    if not isinstance(named, list):
        return named
    return "; ".join(f"{item['name']}, {item['bytes']} bytes" if "bytes" in item else item["name"] for item in named)


def _data(config: Config) -> Iterator[str]:
    """What the manifest in the data folder says of the training images, if there is one."""
    file = file_of(config.data_folder, "manifest.json")
    try:
        manifest = parse_json(read_bytes(file, regular=True, most=MOST_BYTES), file, "a manifest")
    except (OSError, InputError, ValueError):
        manifest = None
    if not isinstance(manifest, dict):
        yield f"The training list was {_cell(config.train_list_file)}; no manifest of `ibc prepare` lay beside it."
        return
    lists = manifest.get("lists")
    rows = [(name, manifest.get(name)) for name in ("data_set", "rule", "seed", "class_num")]
    rows += [(name, f"SHA-256 {facts.get('sha256')}")
             for name, facts in (lists.items() if isinstance(lists, dict) else ())
             if isinstance(facts, dict) and name in (config.train_list_file, config.train_attr_list_file)]
    yield from _table(rows)


def _table(rows: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """A Markdown table of two columns; rows without a value are left out."""
    yield from ("| | |", "|---|---|")
    yield from (f"| {_cell(name)} | {_cell(value)} |" for name, value in rows if value is not None)


def _cell(value: Any) -> str:
    """Text that is not taken for markup, on one line, at most ``MOST_TEXT`` characters."""
    text = printable(str(value))
    return _MARKUP.sub(r"\\\1", text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…")


def _write(path: Path, lines: list[str]) -> None:
    front = ["---", f"license: {_licence(path)}", "library_name: ibc", "tags: [image-retrieval, hashing, "
             "interpretability]", "---", ""]
    with atomic_write(path, "w", errors="backslashreplace") as handle:
        handle.writelines(f"{line}\n" for line in front + lines)


def _licence(path: Path) -> str:
    """What an earlier card of that name says, ``unknown`` where there is none."""
    try:
        found = _LICENCE.search(read_bytes(path, regular=True, most=1 << 20).decode(errors="replace"))
    except (OSError, InputError):
        found = None
    return found[1].strip() if found else "unknown"
