"""The figures of the report's page, section by section, with their captions."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ibc.report import figures
from ibc.report.locate import Curve
from ibc.report.run import ReportRun

LOSS_PREFIX = "loss_"  # all official loss names begin so
POINTS_DRAWN = 1000  # at most, of a curve over updates


@dataclass
class PageFigure:
    """A figure: its file name without ending, its PNG, and what it shows."""

    name: str
    png: bytes
    caption: str

    @property
    def data_url(self) -> str:
        """The PNG as a URL that holds it, so that the page needs no other file."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


def page_figures(runs: Sequence[ReportRun]) -> dict[str, list[PageFigure]]:
    """Section ("training", "retrieval", "rules", "health") -> figures; a list may be empty."""
    found = {"training": list(_training_figures(runs)), "retrieval": list(_retrieval_figures(runs)), "rules": [],
             "health": []}
    for place, run in enumerate(runs, start=1):
        if run.codes.grm is not None:
            found["rules"].append(PageFigure(f"grm_{place}", figures.rules_figure(run.codes.grm, run.name),
                                             f"Gated rule matrix of {run.name}: dark entries gate a bit for a class"))
        found["health"].append(PageFigure(f"health_{place}", figures.health_figure(run.scores.health, place - 1),
                                          f"Code health of {run.name}"))
    return found


def _training_figures(runs: Sequence[ReportRun]) -> Iterator[PageFigure]:
    losses = {run.name: {tag: _thin(curve) for tag, curve in run.scalars.items() if tag.startswith(LOSS_PREFIX)}
              for run in runs}
    if any(losses.values()):
        yield PageFigure("losses", figures.losses_figure(losses), "Losses over updates, under their official names")
    for tag, title in (("val_map", "Validation mAP"), ("lr", "Learning rate"), ("images_per_s", "Images per second")):
        curves = {run.name: _thin(run.scalars[tag]) for run in runs if tag in run.scalars}
        if curves:
            yield PageFigure(tag, figures.curves_figure(curves, title, "updates", "", log=tag == "lr"),
                             f"{title} over updates")


def _retrieval_figures(runs: Sequence[ReportRun]) -> Iterator[PageFigure]:
    curves = {}
    for run in runs:
        precision, recall = run.scores.retrieval.precision_recall_curve()
        known = ~np.isnan(precision) & ~np.isnan(recall)
        curves[run.name] = (recall[known], precision[known])
    drawn = figures.curves_figure(curves, "Precision and recall", "recall", "precision", shares=True)
    yield PageFigure("precision_recall", drawn, "All pairs within each Hamming radius, from 0 to the code length; the "
                                                "order of ties cannot move it")
    sizes = dict.fromkeys(f"{run.scores.curve.queries:,}" for run in runs)
    yield PageFigure("expert_bits", figures.expert_figure({run.name: run.scores.curve for run in runs}),
                     "mAP over the number of bits: expert bits of the true class (oracle), and random bits with their "
                     f"deviation over draws, on {' and '.join(sizes)} queries")


def _thin(curve: Curve) -> Curve:
    """At most POINTS_DRAWN points of a curve, evenly spread."""
    steps, values = curve
    keep = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), POINTS_DRAWN)).astype(int))
    return steps[keep], values[keep]
