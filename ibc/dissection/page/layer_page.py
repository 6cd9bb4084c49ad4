"""The page of a dissected layer: bar graph, summary and one block a unit, all offline and self-contained.

A ``Tally`` and the data set go in; ``html/<layer>.html`` with ``html/image/`` come out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ibc.data.broden.dataset import Broden
from ibc.dissection.outputs import summary
from ibc.dissection.page.strips import strip_name, write_strips
from ibc.dissection.tally import Tally
from ibc.files import atomic_write

TEMPLATES = Path(__file__).parent / "templates"
PAGE_ORDER = ("object", "scene", "part", "material", "texture", "color")  # official order of the page
COLOURS = {"object": "#3b76b5", "scene": "#3f9152", "part": "#8a63b8", "material": "#c4761b", "texture": "#c2484f",
           "color": "#2f8f8f"}
OTHER_COLOUR = "#6b7280"
LONGEST_NAME = 22  # letters of a concept under its bar
MOST_TICKS = 5     # above 0, at the bar graph


def display_name(label: str) -> str:
    """A label as people read it: without Broden's suffixes -s and -c, blanks for underscores."""
    return label.removesuffix("-s").removesuffix("-c").replace("_", " ")


def colour(category: str) -> str:
    """The CSS colour of a category."""
    return COLOURS.get(category, OTHER_COLOUR)


def page_order(categories: list[str]) -> list[str]:
    """Categories in the order of the page, those that are not official last."""
    return sorted(categories, key=lambda name: (PAGE_ORDER.index(name) if name in PAGE_ORDER else len(PAGE_ORDER),
                                                categories.index(name)))


@dataclass
class ConceptBar:
    """One concept of the bar graph. units: how many units it names. best: the best IoU of these."""

    label: str
    category: str
    units: int
    best: float


def bars(tally: Tally, threshold: float) -> list[ConceptBar]:
    """Concepts that name units with an IoU of at least ``threshold``: by category, number of units, best IoU."""
    chosen = np.flatnonzero(tally.interpretable(threshold))
    units = Counter(int(tally.label[row]) for row in chosen)
    order = page_order(tally.categories)
    found = [ConceptBar(tally.names[label], tally.categories[tally.primary[label]], count,
                 float(tally.score[chosen][tally.label[chosen] == label].max())) for label, count in units.items()]
    return sorted(found, key=lambda bar: (order.index(bar.category), -bar.units, -bar.best, bar.label))


def unit_order(tally: Tally, threshold: float) -> list[int]:
    """Rows of the tally in the order of the page: interpretable units as the bars are, then the others by score."""
    place = {bar.label: number for number, bar in enumerate(bars(tally, threshold))}
    good = tally.interpretable(threshold)
    return sorted(range(len(tally.units)), key=lambda row: (
        not good[row], place[tally.names[tally.label[row]]] if good[row] else 0, -tally.score[row], tally.units[row]))


def environment() -> Environment:
    """The templates of the pages, with autoescape on and the filters ``name`` and ``colour``."""
    made = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
                       trim_blocks=True, lstrip_blocks=True)
    made.filters.update(name=display_name, colour=colour)
    return made


def bar_graph(found: list[ConceptBar]) -> str:
    """The bar graph as SVG text; without bars a note in their place."""
    tallest = max((bar.units for bar in found), default=1)
    apart = next(gap for power in range(12) for gap in (10**power, 2 * 10**power, 5 * 10**power)
                 if tallest / gap <= MOST_TICKS)
    ticks = range(0, tallest + 1, apart)
    legend = [(name, sum(bar.units for bar in found if bar.category == name))
              for name in dict.fromkeys(bar.category for bar in found)]
    step = min(max(600 // max(len(found), 1), 18), 44)
    longest = max((len(display_name(bar.label)) for bar in found), default=0)
    return environment().get_template("bargraph.svg").render(
        bars=found, step=step, tallest=tallest, ticks=ticks, legend=legend, plot=170,
        label_room=22 + round(5.4 * min(longest, LONGEST_NAME)), longest_name=LONGEST_NAME,
        width=max(52 + step * len(found), 52 + 112 * len(legend), 420))


def unit_context(tally: Tally, row: int, threshold: float) -> dict[str, Any]:
    """What the template shows of the unit in row ``row``. threshold: IoU from which it counts as interpretable."""
    best = sorted(zip(tally.best_iou[row].tolist(), tally.best_label[row].tolist(), tally.categories, strict=True),
                  reverse=True)
    context: dict[str, Any] = {
        "unit": int(tally.units[row]), "label": tally.names[tally.label[row]],
        "category": tally.categories[tally.category[row]], "iou": float(tally.score[row]),
        "chance": float(tally.chance[row]) if tally.null.shape[1] else None, "beats": bool(tally.beats_chance[row]),
        "interpretable": bool(tally.interpretable(threshold)[row]), "threshold": float(tally.thresholds[row]),
        "strip": f"image/{strip_name(tally.layer, int(tally.units[row]))}",
        "best": [(tally.names[label], category, iou) for iou, label, category in best if iou > 0],
        "images": [tally.image_names[place] for place in tally.top_images[row] if tally.image_names[place]],
        "bit": None,
    }
    if tally.alignment is not None:
        own = tally.alignment
        context["bit"] = {
            "correlation": None if np.isnan(own.correlation[row]) else float(own.correlation[row]),
            "iou": float(own.iou[row]), "on": float(own.bit_on[row] / tally.images),
            "given_filter": float(own.both_on[row] / own.filter_on[row]) if own.filter_on[row] else None}
    return context


def clear_pages(folder: Path) -> None:
    """Delete the pages and images of a results folder: call before the results that they show are replaced."""
    html = folder / "html"
    for old in (*html.glob("*.html"), *html.glob("image/*.jpg"), *html.glob("image/*.svg")):
        old.unlink(missing_ok=True)


def write_page(folder: Path, tally: Tally, broden: Broden, size: tuple[int, int], *, title: str,
               score_threshold: float, facts: list[tuple[str, str]], threads: int = 2) -> Path:
    """Write ``html/<layer>.html`` below ``folder`` with its images; returns its path.

    size: (height, width) of the images shown, pixels. score_threshold: IoU from which a unit counts as interpretable.
    facts: (name, value) lines on model and settings. threads: that draw the images.
    """
    page = folder / "html" / f"{tally.layer}.html"
    images = page.parent / "image"
    clear_pages(folder)  # an older page must not show new images
    write_strips(images, tally, broden, size, threads)
    found = bars(tally, score_threshold)
    graph = bar_graph(found)
    with atomic_write(images / f"{tally.layer}-bargraph.svg", "w") as handle:
        handle.write(graph)
    counts = summary(tally, score_threshold)
    rows = unit_order(tally, score_threshold)
    text = environment().get_template("layer.html").render(
        title=title, tally=tally, graph=graph, bars=found, summary=counts, facts=facts,
        score_threshold=score_threshold, categories=page_order(tally.categories), chances=tally.null.shape[1],
        best_iou=float(tally.score.max(initial=0)), size=size,
        units=[unit_context(tally, row, score_threshold) for row in rows])
    with atomic_write(page, "w") as handle:
        handle.write(text)
    return page
