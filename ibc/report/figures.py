"""Figures of the evaluation as PNG bytes, drawn without a display.

Arrays flow in; each function draws one figure. It looks the same for one run and for several, drawn over each other.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ibc.report.locate import Curve
from ibc.report.scores import ExpertCurve
from ibc.retrieval.code_health import CodeHealth

COLOURS = ("#3b76b5", "#c4761b", "#3f9152", "#8a63b8", "#c2484f", "#2f8f8f", "#d16ba5", "#6d5a3c", "#9aa52e", "#4d5866")
DOTS_PER_INCH = 144
LOSSES_IN_A_ROW = 4
CURVES_INCHES = 6.2, 3.9  # half a page wide: larger letters than the wide figures
STYLE: dict[Any, Any] = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#8a94a6",
    "axes.labelcolor": "#3a4454", "text.color": "#1d2430", "xtick.color": "#5d6778", "ytick.color": "#5d6778",
    "axes.titlesize": 11, "axes.titlelocation": "left", "axes.titleweight": "bold", "axes.grid": True,
    "grid.color": "#e6e9ee", "grid.linewidth": 0.8, "axes.axisbelow": True, "legend.frameon": False,
    "lines.linewidth": 1.8, "figure.facecolor": "white",
}


def colour(place: int) -> str:
    """The colour of a run, by its 0-based place on the command line."""
    return COLOURS[place % len(COLOURS)]


def styled(draw: Callable[..., Figure]) -> Callable[..., bytes]:
    """Decorator: draw in our style, and return the PNG instead of the figure."""
    @functools.wraps(draw)
    def styled(*args: Any, **kwargs: Any) -> bytes:
        buffer = io.BytesIO()
        with mpl.rc_context(STYLE):
            draw(*args, **kwargs).savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()

    return styled


@styled
def health_figure(health: CodeHealth, place: int = 0) -> Figure:
    """Four panels: balance of the bits, sigmoid values, correlation of the bits, bits of a class.

    place: of the run, for its colour.
    """
    figure, panels = new_figure(9, 6, 2, 2)
    balance, values, correlation, grm = panels.flat
    shares = np.linspace(0, 1, 41)
    _histogram(balance, health.share_of_ones, shares, "Bit balance", "share of images with bit 1", "bits", place)
    height = health.values / max(health.values.sum(), 1)
    values.stairs(height, np.linspace(0, 1, len(height) + 1), fill=True, color=colour(place), baseline=1e-6)
    values.set(title="Sigmoid values", xlabel="value before it is cut at 0.5", ylabel="share of all values")
    values.set_yscale("log")
    values.set_ylim(max(1e-6, 0.3 * height[height > 0].min(initial=1)), 1)
    _histogram(correlation, health.correlations, shares, "Correlation of two bits", "absolute correlation", "pairs",
               place)
    if health.bits_per_class is None:
        grm.set_axis_off()
        grm.text(0.5, 0.5, "no GRM in the codes file", ha="center", va="center", color="#5d6778")
    else:
        edges = np.arange(health.bits_per_class.max(initial=1) + 2) - 0.5
        _histogram(grm, health.bits_per_class, edges, "Bits of a class", "GRM entries above 0.5", "classes", place)
    return figure


@styled
def curves_figure(curves: Mapping[str, Curve], title: str, xlabel: str, ylabel: str,
                  log: bool = False, shares: bool = False) -> Figure:
    """Name -> (x, y): curves over each other, in the order of the runs.

    log: a logarithmic axis where the values are positive and differ. shares: both axes from 0 to 1, each point marked.
    """
    figure, (axes,) = new_figure(*CURVES_INCHES, 1, 1)
    for place, (name, (x, y)) in enumerate(curves.items()):
        axes.plot(x, y, color=colour(place), label=name, marker="." if shares else None)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    values = np.concatenate([y for _, y in curves.values()])
    if log and 0 < values.min() < values.max():
        axes.set_yscale("log")
    elif log:
        axes.set_ylim(bottom=0)  # a constant: no magnified rounding
    if shares:
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    _legend(axes, len(curves))
    return figure


@styled
def losses_figure(losses: Mapping[str, Mapping[str, Curve]]) -> Figure:
    """Run -> loss name -> (updates, values): one small panel a loss."""
    names = list(dict.fromkeys(name for curves in losses.values() for name in curves))
    rows = -(-len(names) // LOSSES_IN_A_ROW)
    figure, panels = new_figure(12, 2.6 * rows, rows, LOSSES_IN_A_ROW)
    for axes, name in zip(panels.flat, names, strict=False):
        for place, curves in enumerate(losses.values()):
            if name in curves:
                axes.plot(*curves[name], color=colour(place), linewidth=1.2)
        axes.set_title(name)
        values = [curves[name][1] for curves in losses.values() if name in curves]
        if all((y > 0).all() for y in values) and max(y.max() for y in values) > 20 * min(y.min() for y in values):
            axes.set_yscale("log")
    for axes in panels.flat[len(names):]:
        axes.set_axis_off()
    _shared_legend(figure, list(losses))
    return figure


@styled
def expert_figure(curves: Mapping[str, ExpertCurve]) -> Figure:
    """Run -> mAP over the number of bits; random bits as a band."""
    figure, (axes,) = new_figure(*CURVES_INCHES, 1, 1)
    for place, (name, curve) in enumerate(curves.items()):
        bits, random, spread = curve.bits, np.array(curve.random), np.array(curve.deviation)
        axes.plot(bits, random, color=colour(place), linestyle="--", linewidth=1.2,
                  label=f"{name}: random bits" if len(curves) > 1 else "random bits (± deviation)")
        axes.fill_between(bits, random - spread, random + spread, color=colour(place), alpha=0.18, linewidth=0)
        if curve.expert is not None:
            axes.plot(bits, curve.expert, color=colour(place), marker="o", markersize=3.5,
                      label=f"{name}: expert bits" if len(curves) > 1 else "expert bits of the true class (oracle)")
    axes.set_xscale("log", base=2)
    ticks = sorted({count for curve in curves.values() for count in curve.bits if count & (count - 1) == 0})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set(title="mAP with few bits", xlabel="bits", ylabel="mAP (query left out, expected over ties)")
    _legend(axes, 2)
    return figure


@styled
def rules_figure(grm: np.ndarray, name: str) -> Figure:
    """The (C, K) rule matrix as a heat map: a row a class, bits ordered by the class for which they matter most."""
    strongest = grm.argmax(axis=0)
    order = np.lexsort((-grm.max(axis=0), strongest))
    height = min(9.0, max(2.6, 1.4 + 0.05 * len(grm)))
    figure, (axes,) = new_figure(9, height, 1, 1)
    shown = axes.imshow(grm[:, order], aspect="auto", interpolation="nearest", cmap="magma_r", vmin=0, vmax=1)
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set(title=f"Gated rule matrix, {name}", ylabel="class (from 0)",
             xlabel="bits, ordered by the class with their largest entry")
    bar = figure.colorbar(shown, ax=axes, fraction=0.03, pad=0.02)
    bar.outline.set_visible(False)
    return figure


def new_figure(width: float, height: float, rows: int, columns: int) -> tuple[Figure, Any]:
    """A figure of a size in inches, and its panels: an array, or one row of them where there is but one."""
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    return figure, panels if rows * columns > 1 else panels[0]


def _histogram(axes: Axes, values: np.ndarray, edges: np.ndarray, title: str, xlabel: str, ylabel: str,
               place: int) -> None:
    axes.hist(values[~np.isnan(values)], list(edges), color=colour(place))
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)


def _legend(axes: Axes, entries: int) -> None:
    if entries > 1:
        axes.legend(fontsize=9)


def _shared_legend(figure: Figure, names: Sequence[str]) -> None:
    if len(names) > 1:
        handles = [Line2D([], [], color=colour(place)) for place in range(len(names))]
        figure.legend(handles, list(names), loc="outside lower center", ncols=min(len(names), 4), frameon=False)
