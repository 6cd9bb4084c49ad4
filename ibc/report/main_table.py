"""The report's main table: the scores of every run, in the order of their importance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ibc.report.mis import ESTIMATOR_NAMES
from ibc.report.run import ReportRun
from ibc.report.scores import RunScores
from ibc.report.text import number
from ibc.retrieval.category import CategoryRow
from ibc.retrieval.means import deviation

NOTHING = "–"


@dataclass
class TableLine:
    """What a line shows, why it matters, and for each run a value, with what belongs beside the value if anything."""

    name: str
    hint: str
    cells: list[str]
    extras: list[str] = field(default_factory=list)


def main_table(runs: Sequence[ReportRun]) -> dict[str, list[TableLine]]:
    """Group -> lines; of codes and training only the lines that some run has."""
    scores = [run.scores for run in runs]
    return {
        "Retrieval": [*_relevance_lines(scores), *_retrieval_lines(scores)],
        "Mutual information score (nats)": list(_mis_lines(scores)),
        "Codes": [line for line in _code_lines(runs) if any(cell != NOTHING for cell in line.cells)],
        "Training": [line for line in _training_lines(runs) if any(cell != NOTHING for cell in line.cells)],
    }


def _relevance_lines(scores: Sequence[RunScores]) -> Iterator[TableLine]:
    """Only where some run has label sets; that equal categories are relevant goes without saying."""
    if any(one.labels.multi_label for one in scores):
        yield TableLine("relevant to a query", "", [one.labels.relevance for one in scores])


def _retrieval_lines(scores: Sequence[RunScores]) -> Iterator[TableLine]:
    rows = [one.category.all_bits for one in scores]
    random = [one.category.random for one in scores]
    yield TableLine("category mAP, paper", "query kept in its ranking as irrelevant, ties in database order",
                    [number(row.asked) for row in rows])
    yield TableLine("category mAP, query left out", "expected value over the order of ties [worst, best order]",
                    [number(row.trusted) for row in rows], [_bounds(row) for row in rows])
    true = "labels" if all(one.labels.multi_label for one in scores) else "class"
    yield TableLine(f"expert bits of the true {true}", "oracle: chosen by the query's label; paper's protocol",
                    [_asked(one.expert) for one in scores])
    yield TableLine("… query left out", "expected value over the order of ties [worst, best order]",
                    [NOTHING if one.expert is None else number(one.expert.trusted) for one in scores],
                    ["" if one.expert is None else _bounds(one.expert) for one in scores])
    yield TableLine("expert bits, class by vote", "the class comes from the nearest neighbours, not from the label",
                    [_asked(one.vote) for one in scores],
                    ["" if one.vote is None else f"(class right: {one.vote.class_accuracy:.1%})" for one in scores])
    yield TableLine("as many random bits", "mean ± standard deviation over draws; paper's protocol",
                    [number(float(np.mean(one.asked))) for one in random],
                    [f"± {deviation(one.asked):.4f}" for one in random])
    for point in scores[0].retrieval.points:
        yield TableLine(f"precision@{point}", "query left out, expected over ties",
                        [number(one.retrieval.precision(point, "expected")) for one in scores])
    yield TableLine("precision within radius 2", "Hamming distance at most 2; a query that finds nothing counts as 0",
                    [number(float(one.retrieval.precision_within[one.retrieval.radius == 2][0]))
                     if (one.retrieval.radius == 2).any() else NOTHING for one in scores])


def _mis_lines(scores: Sequence[RunScores]) -> Iterator[TableLine]:
    for estimator, name in ESTIMATOR_NAMES.items():
        yield TableLine(name, "mean over bits of the largest information over classes",
                        [number(one.mis[estimator]) if one.mis else NOTHING for one in scores])
        yield TableLine("… of random codes", "bits of the same balance that know nothing: the floor of the line above",
                        [number(one.floors[estimator]) if one.floors else NOTHING for one in scores])


def _code_lines(runs: Sequence[ReportRun]) -> Iterator[TableLine]:
    health = [run.scores.health for run in runs]
    yield TableLine("images, bits", "", [f"{len(run.codes):,}, {run.codes.code_length}" for run in runs])
    yield TableLine("dead bits", "equal in all codes", [str(len(one.dead)) for one in health])
    yield TableLine("duplicate bits", "pairs that always or never agree", [str(len(one.duplicates)) for one in health])
    yield TableLine("correlation of two bits", "absolute, mean and largest",
                    [f"{one.correlations.mean():.3f}, {one.correlations.max():.3f}" if len(one.correlations)
                     else NOTHING for one in health])
    yield TableLine("distinct codes", "", [f"{one.distinct:,}" for one in health],
                    [f"({one.distinct / max(one.items, 1):.1%})" for one in health])
    yield TableLine("quantisation error", "mean distance of the sigmoid values from 0 or 1",
                    [number(one.quantisation) for one in health])
    yield TableLine("GRM zeros", "share of entries of the rule matrix that are 0",
                    [NOTHING if one.grm_zeros is None else f"{one.grm_zeros:.1%}" for one in health])
    yield TableLine("bits of a class", "GRM entries above 0.5: mean, fewest to most",
                    [NOTHING if (rows := one.bits_per_class) is None else f"{rows.mean():.1f}" for one in health],
                    ["" if (rows := one.bits_per_class) is None else f"({rows.min()} to {rows.max()})"
                     for one in health])


def _training_lines(runs: Sequence[ReportRun]) -> Iterator[TableLine]:
    def last(run: ReportRun, tag: str, form: str) -> str:
        return format(run.scalars[tag][1][-1], form) if tag in run.scalars else NOTHING

    yield TableLine("updates", "", [f"{run.scalars['loss_total'][0][-1]:,}" if "loss_total" in run.scalars else NOTHING
                                    for run in runs])
    yield TableLine("last total loss", "", [last(run, "loss_total", ".4g") for run in runs])
    yield TableLine("last validation mAP", "on a subset, while training",
                    [last(run, "val_map", ".4f") for run in runs])
    yield TableLine("images/s", "median", [f"{np.median(run.scalars['images_per_s'][1]):.0f}"
                                           if "images_per_s" in run.scalars else NOTHING for run in runs])


def _bounds(row: CategoryRow) -> str:
    return f"[{number(row.trusted.pessimistic)}, {number(row.trusted.optimistic)}]"


def _asked(row: CategoryRow | None) -> str:
    return NOTHING if row is None else number(row.asked)
