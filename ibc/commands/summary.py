"""``ibc summary``, also ``python -m eval.summary``: one table of a demo folder, and where each file is.

It prints what ``extraction.json``, ``mis.json``, ``retrieval.json`` and ``dissection.json`` below the folder say;
nothing is computed here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibc.commands.command import Command, CommandParser, command_parser
from ibc.errors import input_error
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
    """Print the table and the pages. Raises InputError for a file without metrics."""
    from ibc.dissection.settings import DETECTOR_IOU
    from ibc.report.text import columns

    folder = options.folder
    codes, mis, retrieval, dissection = (
        _metrics_of(folder / f"{name}.json") for name in ("extraction", "mis", "retrieval", "dissection"))
    top_k = SUN_EXPERT_BITS  # the demo is scored by eval/sun_eval.py
    layer = next(iter(dissection["layers"].values()))["found"]
    named = {rule: f"{layer[rule]['all']['units']} of {codes['code_length']} bits, "
                   f"{layer[rule]['all']['concepts']} concepts" for rule in (f"iou_{DETECTOR_IOU:g}", "above_chance")}
    rows = [
        ["accuracy of the code classifier", f"{codes['code_accuracy']:.3f}", "extraction.json"],
        ["MIS, exact (random codes)",
         f"{mis['mis_exact']:.3f} ({mis['mis_random_floor_exact']:.3f})", "mis.txt, mis.json"],
        ["MIS, k-NN, the official estimate (random codes)",
         f"{mis['mis_knn']:.3f} ({mis['mis_random_floor_knn']:.3f})", "mis.txt, mis.json"],
        [f"category mAP, all {codes['code_length']} bits", f"{retrieval['category_map']:.3f}", "retrieval.txt"],
        [f"category mAP, {top_k} expert bits", f"{retrieval[f'expert_map_top{top_k}']:.3f}", "retrieval.txt"],
        [f"category mAP, {top_k} random bits", f"{retrieval[f'random_map_{top_k}']:.3f}", "retrieval.txt"],
        ["attribute mAP, mean of the attributes", f"{retrieval['attribute_map_mean']:.3f}", "retrieval.txt"],
        [f"bits named at IoU {DETECTOR_IOU:g}", named[f"iou_{DETECTOR_IOU:g}"], "dissection.txt"],
        ["bits named above chance", named["above_chance"], "dissection.txt"],
    ]
    show(f"concept scenes: {codes['images']} test pictures\n")
    show("\n".join(columns([["", "", f"in {folder}/"], *rows])))
    show("\nto look at:")
    for name, what in PAGES.items():
        for path in sorted(folder.glob(name)):
            show(f"  {path}  {what}")


def _metrics_of(path: Path) -> dict[str, Any]:
    """The ``metrics`` of a JSON file that a command wrote."""
    try:
        return json.loads(path.read_text())["metrics"]
    except (ValueError, KeyError, TypeError):
        raise input_error(path, "a file without metrics", "what a command wrote with --json", "run make demo") from None


COMMAND = Command(build_parser, SummaryOptions, run)
