"""``ibc summary``, also ``python -m eval.summary``: one table of a demo folder, and where each file is.

It prints what ``extraction.json``, ``mis.json``, ``retrieval.json`` and ``dissection.json`` below the folder say;
nothing is computed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibc.commands.command import Command, CommandParser, command_parser
from ibc.errors import InputError, input_error
from ibc.retrieval.defaults import SUN_EXPERT_BITS
from ibc.screen import show

EXAMPLE = "{prog} demo"
PAGES = {
    "data/overview.jpg": "one picture of each class",
    "dissection/html/*.html": "which bit stands for which concept",
    "search.png": "one query, ranked by all bits, by expert bits and by the bits of a concept",
    "explorer/index.html": "search by example, by concept and by single bits",
    "report/report.html": "curves, rule matrix, classes, code health",
}


@dataclass(frozen=True)
class SummaryOptions:
    """The flags of ``ibc summary``."""

    folder: Path


def build_parser(prog: str | None = None) -> CommandParser:
    """The flags of ``ibc summary``, with their help."""
    parser = command_parser("Print the numbers of a demo run in one table, and where its files are.", EXAMPLE, prog)
    parser.add_argument("folder", metavar="DIR", type=Path, help="the folder that make demo wrote")
    return parser


def run(options: SummaryOptions) -> None:
    """Print the table and the pages. Raises InputError for a file without metrics, or that lacks a number."""
    from ibc.dissection.settings import DETECTOR_IOU
    from ibc.report.text import columns

    folder = options.folder
    codes, mis, retrieval, dissection = (
        _Metrics(folder / f"{name}.json") for name in ("extraction", "mis", "retrieval", "dissection"))
    top_k = SUN_EXPERT_BITS  # the demo is scored by eval/sun_eval.py
    length = codes.count("code_length")
    layer = dissection.first("layers")
    named = {rule: f"{dissection.count('layers', layer, 'found', rule, 'all', 'units')} of {length} bits, "
                   f"{dissection.count('layers', layer, 'found', rule, 'all', 'concepts')} concepts"
             for rule in (f"iou_{DETECTOR_IOU:g}", "above_chance")}
    rows = [
        ["accuracy of the code classifier", codes.number("code_accuracy"), "extraction.json"],
        ["MIS, exact (random codes)",
         f"{mis.number('mis_exact')} ({mis.number('mis_random_floor_exact')})", "mis.txt, mis.json"],
        ["MIS, k-NN, the official estimate (random codes)",
         f"{mis.number('mis_knn')} ({mis.number('mis_random_floor_knn')})", "mis.txt, mis.json"],
        [f"category mAP, all {length} bits", retrieval.number("category_map"), "retrieval.txt"],
        [f"category mAP, {top_k} expert bits", retrieval.number(f"expert_map_top{top_k}"), "retrieval.txt"],
        [f"category mAP, {top_k} random bits", retrieval.number(f"random_map_{top_k}"), "retrieval.txt"],
        ["attribute mAP, mean of the attributes", retrieval.number("attribute_map_mean"), "retrieval.txt"],
        [f"bits named at IoU {DETECTOR_IOU:g}", named[f"iou_{DETECTOR_IOU:g}"], "dissection.txt"],
        ["bits named above chance", named["above_chance"], "dissection.txt"],
    ]
    show(f"concept scenes: {codes.count('images')} test pictures\n")
    show("\n".join(columns([["", "", f"in {folder}/"], *rows])))
    show("\nto look at:")
    for name, what in PAGES.items():
        for path in sorted(folder.glob(name)):
            show(f"  {path}  {what}")


class _Metrics:
    """The ``metrics`` of a JSON file that a command wrote. Every method raises InputError for what is not there."""

    def __init__(self, path: Path):
        from ibc.json_report import read_json

        self.path = path
        content = read_json(path, "what a command wrote with --json")
        if not isinstance(content, dict) or not isinstance(content.get("metrics"), dict):
            raise input_error(path, "a file without metrics", "what a command wrote with --json", "run make demo")
        self.content = content["metrics"]

    def number(self, *keys: str) -> str:
        """The number below the keys, with three decimals."""
        return f"{self._value(keys):.3f}"

    def count(self, *keys: str) -> str:
        """The whole number below the keys."""
        return f"{self._value(keys):.0f}"

    def first(self, key: str) -> str:
        """The first name below a key."""
        below = self.content.get(key)
        if not isinstance(below, dict) or not below:
            raise self._missing((key,))
        return next(iter(below))

    def _value(self, keys: tuple[str, ...]) -> float:
        value: Any = self.content
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, (int, float)):
            raise self._missing(keys)
        return value

    def _missing(self, keys: tuple[str, ...]) -> InputError:
        return input_error(self.path, f"no number '{'.'.join(keys)}'", "the numbers of a demo", "run make demo")


COMMAND = Command(build_parser, SummaryOptions, run)
