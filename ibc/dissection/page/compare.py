"""Two or more dissections side by side: which concepts each covers, and which units have another name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ibc.dissection.outputs import summary
from ibc.dissection.page.layer_page import environment, page_order
from ibc.dissection.tally import Tally
from ibc.errors import input_error

MOST_BARS = 60  # concepts in the chart; all are in the table


@dataclass
class ComparedConcept:
    """One concept in R dissections.

    units: R numbers of units that it names. best: R best IoU values among these units, 0 where there is none.
    """

    label: str
    category: str
    units: list[int]
    best: list[float]


@dataclass
class RenamedUnit:
    """A unit whose concept is not the same in all dissections. names: R (label, category, IoU)."""

    unit: int
    names: list[tuple[str, str, float]]


@dataclass
class Comparison:
    """What ``compare`` found.

    names: of the R dissections. categories: in the order of the page. renamed: None where the dissections have
    different units. remarks: differences in data or settings that spoil the comparison, one line each.
    """

    names: list[str]
    tallies: list[Tally]
    score_threshold: float
    categories: list[str]
    concepts: list[ComparedConcept]
    renamed: list[RenamedUnit] | None
    remarks: list[str]


def compare(names: list[str], tallies: list[Tally], score_threshold: float) -> Comparison:
    """Compare two or more dissections: the concepts that name units at ``score_threshold``, and the units' names."""
    counts: dict[tuple[str, str], ComparedConcept] = {}
    for place, tally in enumerate(tallies):
        for row in tally.interpretable(score_threshold).nonzero()[0]:
            label, category = tally.names[tally.label[row]], tally.categories[tally.category[row]]
            concept = counts.setdefault((category, label), ComparedConcept(label, category, [0] * len(tallies),
                                                                           [0.0] * len(tallies)))
            concept.units[place] += 1
            concept.best[place] = max(concept.best[place], float(tally.score[row]))
    order = page_order(list(dict.fromkeys(name for tally in tallies for name in tally.categories)))
    concepts = sorted(counts.values(), key=lambda own: (order.index(own.category), -max(own.units), own.label))
    remarks = []
    for name in dict.fromkeys(key for tally in tallies for key in tally.settings):
        values = [tally.settings.get(name) for tally in tallies]
        if any(value != values[0] for value in values):
            remarks.append(f"the runs differ in {name}: {', '.join(map(str, values))}")
    if len({tally.images for tally in tallies}) > 1:
        remarks.append(f"the runs saw different data: {', '.join(str(tally.images) for tally in tallies)} images")
    elif any(not np.array_equal(tally.truth, tallies[0].truth) for tally in tallies):
        remarks.append("the runs saw different label maps")
    return Comparison(names, tallies, score_threshold, order, concepts, _renamed(tallies), remarks)


def _renamed(tallies: list[Tally]) -> list[RenamedUnit] | None:
    if any(tally.units.tolist() != tallies[0].units.tolist() for tally in tallies):
        return None
    found = []
    for row, unit in enumerate(tallies[0].units.tolist()):
        names = [(tally.names[tally.label[row]], tally.categories[tally.category[row]], float(tally.score[row]))
                 for tally in tallies]
        if len({name[:2] for name in names}) > 1:
            found.append(RenamedUnit(unit, names))
    return found


def run_names(folders: list[Path]) -> list[str]:
    """Short names of folders: as many last parts of the paths as tell them apart.

    Raises InputError where two folders are the same.
    """
    for depth in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    raise input_error("--compare", f"{folders[0]} twice", "different results folders")


def render(result: Comparison) -> str:
    """The HTML of the comparison, self-contained."""
    found = [summary(tally, result.score_threshold) for tally in result.tallies]
    rules = list(dict.fromkeys(rule for own in found for rule in own))
    shown = sorted(result.concepts, key=lambda own: -max(own.units))[:MOST_BARS]
    bars = [own for own in result.concepts if own in shown]
    return environment().get_template("compare.html").render(
        result=result, found=found, rules=rules, bars=bars, categories=[*result.categories, "all"],
        tallest=max((units for own in bars for units in own.units), default=1))
