"""The files of one dissected layer.

``tally.csv`` is the official table; ``units.csv`` and ``tally.json`` say more; ``quantile.npy`` holds the thresholds;
``tally.npz`` is the whole ``Tally``, for a later page or comparison. It is written last, so that a folder in which it
has the right key is complete.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from ibc.array_files import read_arrays
from ibc.arrays.npz import read_npy
from ibc.csv_writer import CsvWriter
from ibc.dissection.settings import DETECTOR_IOU
from ibc.dissection.tally import Tally
from ibc.dissection.tally_check import ALIGNMENT, ALIGNMENT_PREFIX, ARRAYS, TEXT, checked_tally
from ibc.errors import input_error
from ibc.files import atomic_write

TALLY_CSV, UNITS_CSV, TALLY_JSON = "tally.csv", "units.csv", "tally.json"
THRESHOLDS, TALLY_FILE = "quantile.npy", "tally.npz"


def write_results(folder: Path, tally: Tally, score_threshold: float) -> list[Path]:
    """Write all files but the page to ``folder``; returns their paths."""
    write_tally_csv(folder / TALLY_CSV, tally)
    write_units_csv(folder / UNITS_CSV, tally)
    write_tally_json(folder / TALLY_JSON, tally, score_threshold)
    with atomic_write(folder / THRESHOLDS) as handle:
        np.save(handle, tally.thresholds)
    save_tally(folder / TALLY_FILE, tally)
    return [folder / name for name in (TALLY_CSV, UNITS_CSV, TALLY_JSON, THRESHOLDS, TALLY_FILE)]


def write_tally_csv(path: Path, tally: Tally) -> None:
    """The official table: rows by descending score, the best label of every category with its counts."""
    header = ["unit", "category", "label", "score"]
    for category in tally.categories:
        header += [f"{category}-{name}" for name in ("label", "truth", "activation", "intersect", "iou")]
    rows = []
    for row in tally.by_score:
        cells: list[Any] = [int(tally.units[row]), tally.categories[tally.category[row]], tally.names[tally.label[row]],
                            float(tally.score[row])]
        for place in range(len(tally.categories)):
            label = tally.best_label[row, place]
            cells += [tally.names[label], float(tally.truth[label]),
                      float(tally.activation[row, tally.primary[label]]), float(tally.both[row, label]),
                      float(tally.iou[row, label])]
        rows.append(cells)
    _write_csv(path, header, rows)


def write_units_csv(path: Path, tally: Tally) -> None:
    """One row a unit, by number: concept, chance level, threshold, and how the bit of the same number agrees."""
    header = ["unit", "category", "concept", "iou", "chance", "beats_chance", "threshold", "filter_on"]
    columns = [tally.units, [tally.categories[place] for place in tally.category],
               [tally.names[label] for label in tally.label], tally.score, tally.chance,
               tally.beats_chance.astype(int), tally.thresholds]
    if tally.alignment is not None:
        header += ["bit_on", "both_on", "correlation", "images_iou"]
        columns += [tally.alignment.filter_on, tally.alignment.bit_on, tally.alignment.both_on,
                    tally.alignment.correlation, tally.alignment.iou]
    else:
        header.remove("filter_on")
    plain = [column.tolist() if isinstance(column, np.ndarray) else column for column in columns]
    _write_csv(path, header, zip(*plain, strict=True))


def _write_csv(path: Path, header: list[str], rows: Iterable[Iterable[Any]]) -> None:
    with atomic_write(path, "w") as handle:
        writer = CsvWriter(handle, "\r\n")  # the official line ends
        writer.row(header)
        writer.rows(rows)


def summary(tally: Tally, score_threshold: float) -> dict[str, dict[str, dict[str, int]]]:
    """Interpretable units and their concepts: rule -> category (and "all") -> {"units", "concepts"}.

    The rules: IoU of at least ``score_threshold``, of at least 0.04 as in NetDissect, and above chance.
    """
    rules: dict[str, float | str] = {f"iou_{value:g}": value for value in (score_threshold, DETECTOR_IOU)}
    if tally.null.shape[1]:
        rules["above_chance"] = "chance"
    return {name: {category: {"units": units, "concepts": concepts}
                   for category, (units, concepts) in tally.coverage(rule).items()} for name, rule in rules.items()}


def write_tally_json(path: Path, tally: Tally, score_threshold: float) -> None:
    """Settings, the summary, and everything about each unit."""
    report = {
        "layer": tally.layer, "key": tally.key, "model": tally.model, "images": tally.images,
        "settings": tally.settings, "threshold_rank_error": tally.rank_error, "categories": tally.categories,
        "summary": summary(tally, score_threshold),
        "units": [unit_record(tally, row) for row in range(len(tally.units))],
    }
    with atomic_write(path, "w") as handle:
        handle.write(json.dumps(_finite(report), indent=1, allow_nan=False) + "\n")


def unit_record(tally: Tally, row: int) -> dict[str, Any]:
    """Everything about the unit in row ``row``, as plain types."""
    label = tally.label[row]
    record: dict[str, Any] = {
        "unit": int(tally.units[row]), "unit_index": int(tally.units[row]) - 1,
        "category": tally.categories[tally.category[row]], "label": tally.names[label], "label_number": int(label),
        "iou": float(tally.score[row]), "threshold": float(tally.thresholds[row]), "pixels": int(tally.pixels[row]),
        "chance": tally.null[row].tolist(), "beats_chance": bool(tally.beats_chance[row]),
        "best": {category: {"label": tally.names[best], "iou": float(tally.iou[row, best]),
                            "truth": int(tally.truth[best]), "intersect": int(tally.both[row, best]),
                            "activation": int(tally.activation[row, tally.primary[best]])}
                 for category, best in zip(tally.categories, tally.best_label[row], strict=True)},
        "top_images": [tally.image_names[place] for place in tally.top_images[row] if tally.image_names[place]],
    }
    if tally.alignment is not None:
        own = tally.alignment
        record["bit"] = {"correlation": float(own.correlation[row]), "images_iou": float(own.iou[row]),
                         "bit_on": int(own.bit_on[row]), "filter_on": int(own.filter_on[row]),
                         "both_on": int(own.both_on[row])}
    return record


def _finite(value: Any) -> Any:
    """The same value with None for NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def save_tally(path: Path, tally: Tally) -> None:
    """Write the whole tally, for ``load_tally``."""
    arrays = {field.name: getattr(tally, field.name) for field in fields(Tally)
              if isinstance(getattr(tally, field.name), np.ndarray)}
    if tally.alignment is not None:
        arrays.update({ALIGNMENT_PREFIX + name: getattr(tally.alignment, name) for name in ALIGNMENT})
    text = json.dumps({name: getattr(tally, name) for name in TEXT})
    with atomic_write(path) as handle:
        np.savez_compressed(handle, text=np.array(text), **arrays)


def load_tally(path: str | os.PathLike) -> Tally:
    """The Tally of a results folder, or of its ``tally.npz``. Raises InputError where there is none."""
    path = Path(path)
    file = path / TALLY_FILE if path.is_dir() else path
    if not file.exists():
        raise input_error(path, "no dissection", f"a folder with {TALLY_FILE}", "dissect the model first")
    arrays = read_arrays(file, ("text", *ARRAYS, *(ALIGNMENT_PREFIX + name for name in ALIGNMENT)), ("text",))
    try:
        text = json.loads(str(arrays.pop("text", None)))
    except (ValueError, RecursionError) as error:
        raise input_error(file, f"an unreadable file ({error})", "the tally of a dissection", "dissect again") from None
    return checked_tally(arrays, text, file)


def read_thresholds(path: str | os.PathLike) -> np.ndarray:
    """The numbers of a ``quantile.npy``, float64. Raises InputError where the file holds none."""
    numbers = read_npy(path)
    if numbers.dtype.kind in "iuf":
        return np.asarray(numbers, np.float64)
    raise input_error(path, "an unreadable file", "a quantile.npy of a dissection")


def finished(folder: Path, key: str) -> Tally | None:
    """The tally in ``folder`` if it has this key (``pipeline.run_key``), else None."""
    if not (folder / TALLY_FILE).exists():
        return None
    try:
        tally = load_tally(folder)
    except ValueError:
        return None
    return tally if tally.key == key else None
