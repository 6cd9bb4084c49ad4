"""The report's page: tables and figures of one or several runs in one self-contained HTML file.

Scored runs flow in; HTML text and PNG figures flow out. Nothing is computed from codes here.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ibc.codes import CodeSet
from ibc.report import figures
from ibc.report.locate import Curve, RunFiles
from ibc.report.scores import Options, RunScores, class_scores
from ibc.report.tables import number
from ibc.retrieval.category import Row

TEMPLATES = Path(__file__).parent / "templates"
LOSS_PREFIX = "loss_"
POINTS_DRAWN = 1000  # of a curve over updates


@dataclass
class Run:
    """One column of the report. scalars: tag -> curve. sha256: of the codes file. class_names: id -> name."""

    name: str
    files: RunFiles
    codes: CodeSet
    scores: RunScores
    scalars: dict[str, Curve]
    config: dict[str, Any]
    sha256: str
    class_names: dict[int, str]

    @property
    def multi_label(self) -> bool:
        return self.scores.labels.multi_label


@dataclass
class Line:
    """A line of the main table: what it is, why it matters, and for each run a value, and what goes with it if any."""

    name: str
    hint: str
    cells: list[str]
    extras: list[str] = field(default_factory=list)


@dataclass
class Picture:
    """A figure: file name without ending, its PNG, and what it shows."""

    name: str
    png: bytes
    caption: str

    @property
    def data_url(self) -> str:
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


def main_table(runs: Sequence[Run]) -> dict[str, list[Line]]:
    """Group -> lines, in the order of importance."""
    scores = [run.scores for run in runs]
    return {
        "Retrieval": [*_relevance_lines(runs), *_retrieval_lines(scores)],
        "Mutual information score (nats)": list(_mis_lines(scores)),
        "Codes": [line for line in _code_lines(runs) if any(cell != "–" for cell in line.cells)],
        "Training": [line for line in _training_lines(runs) if any(cell != "–" for cell in line.cells)],
    }


def _relevance_lines(runs: Sequence[Run]) -> Iterator[Line]:
    """Only where some run has several labels an image: else it goes without saying."""
    if any(run.multi_label for run in runs):
        yield Line("relevant to a query", "", [run.scores.labels.relevance for run in runs])


def _retrieval_lines(scores: Sequence[RunScores]) -> Iterator[Line]:
    rows = [one.all_bits for one in scores]
    yield Line("category mAP, paper", "query kept in its ranking as irrelevant, ties in database order",
               [number(row.asked[0]) for row in rows])
    yield Line("category mAP, query left out", "expected value over the order of ties [worst, best order]",
               [number(row.trusted[0]) for row in rows], [_bounds(row) for row in rows])
    true = "labels" if all(one.labels.multi_label for one in scores) else "class"
    yield Line(f"expert bits of the true {true}", "oracle: chosen by the query's label; paper's protocol",
               [_optional(one.expert) for one in scores])
    yield Line("… query left out", "expected value over the order of ties [worst, best order]",
               ["–" if one.expert is None else number(one.expert.trusted[0]) for one in scores],
               ["" if one.expert is None else _bounds(one.expert) for one in scores])
    yield Line("expert bits, class by vote", "the class comes from the nearest neighbours, not from the label",
               [_optional(one.vote) for one in scores],
               ["" if one.vote_right is None else f"(class right: {one.vote_right:.1%})" for one in scores])
    yield Line("as many random bits", "mean ± standard deviation over draws; paper's protocol",
               [number(float(np.mean(one.random.asked))) for one in scores],
               [f"± {np.std(one.random.asked, ddof=1):.4f}" for one in scores])
    for point in rows[0].trusted_scores.points if rows[0].trusted_scores else ():
        yield Line(f"precision@{point}", "query left out, expected over ties",
                   [number(one.retrieval.precision(point, "expected")) for one in scores])
    yield Line("precision within radius 2", "Hamming distance at most 2; a query that finds nothing counts as 0",
               [number(float(one.retrieval.precision_within[one.retrieval.radius == 2][0]))
                if (one.retrieval.radius == 2).any() else "–" for one in scores])


def _mis_lines(scores: Sequence[RunScores]) -> Iterator[Line]:
    for estimator, name in (("knn", "k-NN (official)"), ("exact", "exact")):
        yield Line(name, "mean over bits of the largest information over classes",
                   [number(one.mis[estimator]) if one.mis else "–" for one in scores])
        yield Line("… of random codes", "bits of the same balance that know nothing: the floor of the line above",
                   [number(one.floors[estimator]) if one.floors else "–" for one in scores])


def _code_lines(runs: Sequence[Run]) -> Iterator[Line]:
    health = [run.scores.health for run in runs]
    yield Line("images, bits", "", [f"{len(run.codes):,}, {run.codes.code_length}" for run in runs])
    yield Line("dead bits", "equal in all codes", [str(len(one.dead)) for one in health])
    yield Line("duplicate bits", "pairs that always or never agree", [str(len(one.duplicates)) for one in health])
    yield Line("correlation of two bits", "absolute, mean and largest",
               [f"{one.correlations.mean():.3f}, {one.correlations.max():.3f}" if len(one.correlations) else "–"
                for one in health])
    yield Line("distinct codes", "", [f"{one.distinct:,}" for one in health],
               [f"({one.distinct / max(one.items, 1):.1%})" for one in health])
    yield Line("quantisation error", "mean distance of the sigmoid values from 0 or 1",
               [number(one.quantisation) for one in health])
    yield Line("GRM zeros", "share of entries of the rule matrix that are 0",
               ["–" if one.grm_zeros is None else f"{one.grm_zeros:.1%}" for one in health])
    yield Line("bits of a class", "GRM entries above 0.5: mean, fewest to most",
               ["–" if (rows := one.bits_per_class) is None else f"{rows.mean():.1f}" for one in health],
               ["" if (rows := one.bits_per_class) is None else f"({rows.min()} to {rows.max()})" for one in health])


def _training_lines(runs: Sequence[Run]) -> Iterator[Line]:
    def last(run: Run, tag: str, form: str) -> str:
        return format(run.scalars[tag][1][-1], form) if tag in run.scalars else "–"

    yield Line("updates", "", [f"{run.scalars['loss_total'][0][-1]:,}" if "loss_total" in run.scalars else "–"
                               for run in runs])
    yield Line("last total loss", "", [last(run, "loss_total", ".4g") for run in runs])
    yield Line("last validation mAP", "on a subset, while training", [last(run, "val_map", ".4f") for run in runs])
    yield Line("images/s", "median", [f"{np.median(run.scalars['images_per_s'][1]):.0f}"
                                      if "images_per_s" in run.scalars else "–" for run in runs])


def _bounds(row: Row) -> str:
    value = row.trusted[0]
    return f"[{number(value.pessimistic)}, {number(value.optimistic)}]"


def _optional(row: Row | None) -> str:
    return "–" if row is None else number(row.asked[0])


def pictures(runs: Sequence[Run]) -> dict[str, list[Picture]]:
    """Section -> figures; sections without one are left out."""
    names = [run.name for run in runs]
    found = {"training": list(_training_pictures(runs)), "retrieval": list(_retrieval_pictures(runs)), "rules": [],
             "health": []}
    for place, run in enumerate(runs, start=1):
        if run.codes.grm is not None:
            found["rules"].append(Picture(f"grm_{place}", figures.rules_figure(run.codes.grm, names[place - 1]),
                                          f"Gated rule matrix of {run.name}: dark entries gate a bit for a class"))
        found["health"].append(Picture(f"health_{place}", figures.health_figure(run.scores.health, place - 1),
                                       f"Code health of {run.name}"))
    return found


def _training_pictures(runs: Sequence[Run]) -> Iterator[Picture]:
    losses = {run.name: {tag: _thin(curve) for tag, curve in run.scalars.items() if tag.startswith(LOSS_PREFIX)}
              for run in runs}
    if any(losses.values()):
        yield Picture("losses", figures.losses_figure(losses), "Losses over updates, under their official names")
    for tag, title in (("val_map", "Validation mAP"), ("lr", "Learning rate"), ("images_per_s", "Images per second")):
        curves = {run.name: _thin(run.scalars[tag]) for run in runs if tag in run.scalars}
        if curves:
            yield Picture(tag, figures.curves_figure(curves, title, "updates", "", log=tag == "lr"),
                          f"{title} over updates")


def _retrieval_pictures(runs: Sequence[Run]) -> Iterator[Picture]:
    curves = {}
    for run in runs:
        precision, recall = run.scores.retrieval.precision_recall_curve()
        known = ~np.isnan(precision) & ~np.isnan(recall)
        curves[run.name] = (recall[known], precision[known])
    drawn = figures.curves_figure(curves, "Precision and recall", "recall", "precision", shares=True)
    yield Picture("precision_recall", drawn,
                  "All pairs within each Hamming radius, from 0 to the code length; the order of ties cannot move it")
    sizes = dict.fromkeys(f"{run.scores.curve.queries:,}" for run in runs)
    yield Picture("expert_bits", figures.expert_figure({run.name: vars(run.scores.curve) for run in runs}),
                  "mAP over the number of bits: expert bits of the true class (oracle), and random bits with their "
                  f"deviation over draws, on {' and '.join(sizes)} queries")


def _thin(curve: Curve) -> Curve:
    steps, values = curve
    keep = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), POINTS_DRAWN)).astype(int))
    return steps[keep], values[keep]


def class_table(runs: Sequence[Run]) -> dict[str, Any]:
    """Columns (run, what) and one line a class: id, name, queries, scores (None: the run lacks it); any names."""
    own = [class_scores(run.scores) for run in runs]
    columns = [(place, name) for place, scores in enumerate(own) for name in scores]
    labels = sorted({label for scores in own for values in scores.values() for label in values})
    counts = [run.scores.labels.class_sizes() for run in runs]
    names: dict[int, str] = {}
    for run in reversed(runs):
        names |= run.class_names
    lines = [{"id": label, "name": names.get(label, ""), "queries": [count.get(label, 0) for count in counts],
              "scores": [own[place][name].get(label) for place, name in columns]} for label in labels]
    return {"columns": columns, "lines": lines, "named": any(line["name"] for line in lines)}


def config_table(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One line a key of any configuration, those that differ first."""
    keys = list(dict.fromkeys(key for run in runs for key in run.config))
    lines = []
    for key in keys:
        cells = ["–" if key not in run.config else str(run.config[key]) for run in runs]
        lines.append({"key": key, "cells": cells, "differs": len(set(cells)) > 1})
    return sorted(lines, key=lambda line: not line["differs"])


def render(title: str, runs: Sequence[Run], sections: dict[str, list[Picture]], options: Options,
           versions: dict[str, str]) -> str:
    """The page; every text that comes from files is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("report.html").render(
        title=title, runs=runs, colours=[figures.colour(place) for place in range(len(runs))],
        table=main_table(runs), pictures=sections, classes=class_table(runs), config=config_table(runs),
        health=[list(run.scores.health.lines()) for run in runs], options=options, versions=versions)
