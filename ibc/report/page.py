"""The report's page: tables and figures of one or several runs in one self-contained HTML file.

Scored runs flow in; HTML text flows out. Nothing is computed from codes here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ibc.report.figures import colour
from ibc.report.health import health_lines
from ibc.report.main_table import NOTHING, main_table
from ibc.report.page_figures import PageFigure
from ibc.report.run import ReportRun
from ibc.report.scores import ScoreSettings, class_scores

TEMPLATES = Path(__file__).parent / "templates"


@dataclass
class ClassLine:
    """One class: queries, one number a run; scores, one a column, None where the run does not have the class."""

    id: int
    name: str
    queries: list[int]
    scores: list[float | None]


@dataclass
class ClassTable:
    """columns: (0-based place of the run, what is scored). named: some class has a name."""

    columns: list[tuple[int, str]]
    lines: list[ClassLine]
    named: bool


@dataclass
class ConfigLine:
    """One key of the configurations: its value in each run; differs: not the same in all."""

    key: str
    cells: list[str]
    differs: bool


def class_table(runs: Sequence[ReportRun]) -> ClassTable:
    """The scores of each class that occurs in some run, by class id."""
    own = [class_scores(run.scores) for run in runs]
    columns = [(place, name) for place, scores in enumerate(own) for name in scores]
    labels = sorted({label for scores in own for values in scores.values() for label in values})
    counts = [run.scores.labels.class_sizes() for run in runs]
    names: dict[int, str] = {}
    for run in reversed(runs):
        names |= run.class_names
    lines = [ClassLine(label, names.get(label, ""), [count.get(label, 0) for count in counts],
                       [own[place][name].get(label) for place, name in columns]) for label in labels]
    return ClassTable(columns, lines, any(line.name for line in lines))


def config_table(runs: Sequence[ReportRun]) -> list[ConfigLine]:
    """One line a key of any configuration, those that differ first."""
    lines = []
    for key in dict.fromkeys(key for run in runs for key in run.config):
        cells = [NOTHING if key not in run.config else str(run.config[key]) for run in runs]
        lines.append(ConfigLine(key, cells, len(set(cells)) > 1))
    return sorted(lines, key=lambda line: not line.differs)


def render(title: str, runs: Sequence[ReportRun], figures: Mapping[str, Sequence[PageFigure]],
           settings: ScoreSettings, versions: dict[str, str]) -> str:
    """The page as HTML. figures: section -> figures. All text that comes from files is escaped."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("report.html").render(
        title=title, runs=runs, colours=[colour(place) for place in range(len(runs))], table=main_table(runs),
        figures=figures, classes=class_table(runs), config=config_table(runs),
        health=[list(health_lines(run.scores.health)) for run in runs], settings=settings, versions=versions)
