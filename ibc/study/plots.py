"""The results of a study as three figures.

mAP over the code length, mAP over the number of expert bits, and the main scores side by side.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure

from ibc.config import ALEXNET
from ibc.report.figures import colour, new_figure, styled
from ibc.study.table import COLUMNS, Line, Result, by_line

SHOWN = ("mAP", "5 expert", "13 expert", "13, predicted class", "MIS", "alignment")
PANELS_IN_A_ROW = 3


@styled
def expert_bits_figure(results: Sequence[Result]) -> Figure:
    """mAP over the number of expert bits, of the true class (lines) and of the predicted one (dashes).

    The mark at the right end is the mAP of all bits. Means over seeds.
    """
    figure, (axes,) = new_figure(7.5, 4.6, 1, 1)
    lines = by_line(results)
    for place, (line, runs) in enumerate(lines.items()):
        counts = sorted(map(int, runs[0]["scores"]["expert"]))  # none of a method without gates
        for name, dashes in (("expert", "-"), ("expert_predicted", "--")):
            means = [statistics.fmean(run["scores"][name][str(count)] for run in runs) for count in counts]
            axes.plot(counts, means, dashes, color=colour(place), marker="o", markersize=3,
                      label=label(line, lines) if dashes == "-" else None)
        whole = statistics.fmean(run["scores"]["map"]["expected"] for run in runs)
        axes.plot([line[1]], [whole], "D", color=colour(place), markersize=5)
    ticks = sorted({int(count) for run in results for count in [*run["scores"]["expert"], run["bits"]]})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set(title="mAP with expert bits (dashes: of the predicted class; diamonds: all bits)", xlabel="bits",
             ylabel="mAP (query left out, expected over ties)")
    axes.legend(fontsize=9)
    return figure


@styled
def code_length_figure(results: Sequence[Result]) -> Figure:
    """mAP over the code length, a panel a backbone and a line a method. Means over seeds; thin: worst to best ties."""
    backbones = list(dict.fromkeys(map(backbone, results)))
    figure, panels = new_figure(6.4 * len(backbones), 4.8, 1, len(backbones))
    lengths = sorted({run["bits"] for run in results})
    for axes, name in zip(panels.flat, backbones, strict=True):
        own = by_line([run for run in results if backbone(run) == name])
        methods = list(dict.fromkeys((method, updates) for method, _, updates in own))
        for place, (method, updates) in enumerate(methods):
            found = {bits: [run["scores"]["map"] for run in runs] for (other, bits, length), runs in sorted(own.items())
                     if (other, length) == (method, updates)}
            means = {part: [statistics.fmean(scores[part] for scores in runs) for runs in found.values()]
                     for part in ("expected", "worst", "best")}
            shift = 2 ** (0.03 * (place - (len(methods) - 1) / 2))  # so that the bars do not hide each other
            axes.errorbar([bits * shift for bits in found], means["expected"], color=colour(place), label=method,
                          yerr=np.maximum(np.abs(np.array([means["worst"], means["best"]]) - means["expected"]), 0),
                          marker="o", markersize=4, linestyle="-" if updates else ":", elinewidth=0.7)
        axes.set_xscale("log", base=2)
        axes.set_xticks(lengths, [str(bits) for bits in lengths])
        axes.minorticks_off()
        axes.set(title=f"{name}: mAP of all bits", xlabel="bits", ylabel="mAP (query left out, expected over ties)")
        axes.legend(fontsize=8, ncols=2)
    return figure


def backbone(result: Result) -> str:
    """Of one result; earlier versions knew one only."""
    return result.get("backbone", ALEXNET)


@styled
def scores_figure(results: Sequence[Result]) -> Figure:
    """A panel a score: one bar a line of the table, the mean over seeds, with the lowest and the highest."""
    lines = by_line(results)
    rows = -(-len(SHOWN) // PANELS_IN_A_ROW)
    figure, panels = new_figure(12, rows * (1.2 + 0.3 * len(lines)), rows, PANELS_IN_A_ROW)
    names = [label(line, lines) for line in lines]
    for axes, score in zip(panels.flat, SHOWN, strict=False):
        values = [_values(runs, COLUMNS[score][1]) for runs in lines.values()]
        means = np.array([statistics.fmean(own) if own else np.nan for own in values])
        spread = np.array([[mean - min(own), max(own) - mean] if own else [0, 0]
                           for own, mean in zip(values, means, strict=True)]).T
        axes.barh(names, means, xerr=spread, color=[colour(place) for place in range(len(lines))], height=0.7)
        axes.invert_yaxis()
        axes.set_title(score)
        if axes is not panels[axes.get_subplotspec().rowspan.start, 0]:
            axes.set_yticklabels([])
    return figure


def label(line: Line, lines: dict[Line, list[Result]]) -> str:
    """What to call a line: its method, with code length and updates where they differ between lines."""
    method, bits, updates = line
    parts = [method, *([f"{bits} bits"] if len({other[1] for other in lines}) > 1 else []),
             *([f"{updates:,} updates"] if len({other[2] for other in lines}) > 1 else [])]
    return ", ".join(parts)


def _values(runs: Sequence[Result], value: Callable[[Result], float | None]) -> list[float]:
    return [found for run in runs if (found := value(run)) is not None]
