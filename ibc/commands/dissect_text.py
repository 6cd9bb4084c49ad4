"""What ``ibc dissect`` says of a dissection: on the terminal, on the page and in the JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ibc.commands.dissect_model import ModelSource
from ibc.data.broden.dataset import Broden
from ibc.dissection.outputs import summary
from ibc.dissection.page.layer_page import display_name
from ibc.dissection.pipeline import DissectionRun
from ibc.dissection.settings import DissectionSettings
from ibc.dissection.tally import Tally
from ibc.json_report import write_json

SHOWN = 10  # units printed


@dataclass(frozen=True)
class Subject:
    """What is dissected and how. size: (height, width) of the images. thresholds: file of given ones, or None."""

    source: ModelSource
    broden: Broden
    settings: DissectionSettings
    size: tuple[int, int]
    thresholds: str | None


def say_data(say: Callable[[str], None], broden: Broden, null: int) -> None:
    """How many images of which categories, and whether they suffice for ``null`` chance pairings."""
    dropped = f", {broden.dropped} without a label left out" if broden.dropped else ""
    absent = f" (it has no {', '.join(broden.absent)})" if broden.absent else ""
    say(f"{broden.folder}: {len(broden)} images{dropped}; labels of {', '.join(broden.categories)}{absent}")
    alike = Counter(record.map_size for record in broden.records)  # pairings are made among maps of one size
    few = sum(count for count in alike.values() if count <= null)
    if few:
        say(f"note: {few} images have too few others with label maps of their size for {null} different pairings")


def say_results(say: Callable[[str], None], tally: Tally, threshold: float) -> None:
    """The best units, and what was found in each category."""
    say(f"\n{tally.layer}: the best of {len(tally.units)} units")
    with_chance = bool(tally.null.shape[1])
    say(f"{'unit':>6}  {'concept':<24} {'category':<10} {'IoU':>6}" + "  chance" * with_chance)
    for row in tally.by_score[:SHOWN]:
        chance = f"  {tally.chance[row]:6.3f}{'  above' * bool(tally.beats_chance[row])}" * with_chance
        say(f"{tally.units[row]:6d}  {display_name(tally.names[tally.label[row]])[:24]:<24} "
            f"{tally.categories[tally.category[row]]:<10} {tally.score[row]:6.3f}{chance}")
    counts = summary(tally, threshold)
    nameless = [number for number in tally.truth.nonzero()[0].tolist() if not tally.names[number]]
    if nameless:
        say(f"note: the label maps hold numbers that label.csv does not list: {', '.join(map(str, nameless))}")
    say("\nunits (concepts)  " + "".join(f"{rule.replace('iou_', 'IoU >= ').replace('_', ' '):>16}" for rule in counts))
    for category in [*tally.categories, "all"]:
        cells = [f"{own[category]['units']} ({own[category]['concepts']})" for own in counts.values()]
        say(f"  {category:<16}" + "".join(f"{cell:>16}" for cell in cells))


def page_facts(subject: Subject, tally: Tally) -> list[tuple[str, str]]:
    """(name, value) lines on model and settings, for the page."""
    source, broden, settings, (height, width) = subject.source, subject.broden, subject.settings, subject.size
    error = f", within {tally.rank_error:.1e} of the ranks" if tally.rank_error else ""
    return [("Model", ", ".join(map(str, source.files)) or source.title),
            ("Data", f"{broden.folder} ({broden.index_file}), {len(broden)} images at {height} × {width} pixels"),
            ("Threshold", f"given: {subject.thresholds}" if subject.thresholds else
             f"upper {settings.quantile:g} of responses, {settings.quantile_position} position{error}"),
            ("Normalisation", settings.normalization),
            ("Chance", f"{settings.null} pairings, seed {settings.seed}"), ("Key", tally.key)]


def write_report(path: str, subject: Subject, run: DissectionRun) -> None:
    """The file of ``--json``."""
    source, broden, settings = subject.source, subject.broden, subject.settings
    given = [Path(subject.thresholds)] if subject.thresholds else []
    write_json(path, command="dissect", seed=settings.seed,
               protocol={**run.tallies[0].settings, "image_size": list(subject.size),
                         "score_threshold": settings.score_threshold, "resize": "bilinear, 32-bit",
                         "iou": "both / (activation + truth - both)"},
               inputs=[*source.files, broden.folder / broden.index_file, *given],
               metrics={"images": len(broden), "layers": {tally.layer: _layer_metrics(tally, settings.score_threshold)
                                                          for tally in run.tallies}, "seconds": run.seconds})


def _layer_metrics(tally: Tally, score_threshold: float) -> dict[str, Any]:
    metrics: dict[str, Any] = {
        "key": tally.key, "units": len(tally.units), "best_iou": float(tally.score.max()),
        "mean_iou": float(tally.score.mean()), "found": summary(tally, score_threshold)}
    if tally.alignment is not None:
        known = tally.alignment.correlation[np.isfinite(tally.alignment.correlation)]
        metrics["bit_correlation_mean"] = float(known.mean()) if len(known) else None
        metrics["bit_images_iou_mean"] = float(tally.alignment.iou.mean())
    return metrics
