"""One table of a demo folder: the numbers that the commands wrote as JSON, and where each file is.

``python -m eval.summary demo`` reads ``extraction.json``, ``mis.json``, ``retrieval.json`` and
``dissection.json`` below the folder and prints what they say; nothing is computed here.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ibc.commands.command import command_parser
from ibc.errors import input_error
from ibc.report.tables import columns

EXAMPLE = "python -m eval.summary demo"


def build_parser() -> argparse.ArgumentParser:
    parser = command_parser("Print the numbers of a demo run in one table, and where its files are.", EXAMPLE)
    parser.add_argument("folder", metavar="DIR", type=Path, help="the folder that make demo wrote")
    return parser


def main(args: argparse.Namespace) -> None:
    codes, mis, retrieval, dissection = (
        metrics_of(args.folder / f"{name}.json") for name in ("extraction", "mis", "retrieval", "dissection"))
    expert, chance = f"expert_map_top{EXPERT_BITS}", f"random_map_{EXPERT_BITS}"
    layer = next(iter(dissection["layers"].values()))["found"]
    named = {level: f"{layer[level]['all']['units']} of {codes['code_length']} bits, "
                    f"{layer[level]['all']['concepts']} concepts" for level in ("iou_0.04", "above_chance")}
    rows = [
        ["accuracy of the code classifier", f"{codes['code_accuracy']:.3f}", "extraction.json"],
        ["MIS, exact (random codes)",
         f"{mis['mis_exact']:.3f} ({mis['mis_random_floor_exact']:.3f})", "mis.txt, mis.json"],
        ["MIS, k-NN, the official estimate (random codes)",
         f"{mis['mis_knn']:.3f} ({mis['mis_random_floor_knn']:.3f})", "mis.txt, mis.json"],
        [f"category mAP, all {codes['code_length']} bits", f"{retrieval['category_map']:.3f}", "retrieval.txt"],
        [f"category mAP, {EXPERT_BITS} expert bits", f"{retrieval[expert]:.3f}", "retrieval.txt"],
        [f"category mAP, {EXPERT_BITS} random bits", f"{retrieval[chance]:.3f}", "retrieval.txt"],
        ["attribute mAP, mean of the attributes", f"{retrieval['attribute_map_mean']:.3f}", "retrieval.txt"],
        ["bits named at IoU 0.04", named["iou_0.04"], "dissection.txt"],
        ["bits named above chance", named["above_chance"], "dissection.txt"],
    ]
    print(f"concept scenes: {codes['images']} test pictures\n")
    print("\n".join(columns([["", "", f"in {args.folder}/"], *rows])))
    print("\nto look at:")
    for name, what in PAGES.items():
        for path in sorted(args.folder.glob(name)):
            print(f"  {path}  {what}")


EXPERT_BITS = 12  # what eval/sun_eval.py takes by default
PAGES = {
    "data/overview.jpg": "one picture of each class",
    "dissection/html/*.html": "which bit stands for which concept",
    "report/report.html": "curves, rule matrix, classes, code health",
}


def metrics_of(path: Path) -> dict[str, Any]:
    """The ``metrics`` of a JSON file that a command wrote."""
    try:
        return json.loads(path.read_text())["metrics"]
    except (ValueError, KeyError, TypeError):
        raise input_error(path, "a file without metrics", "what a command wrote with --json", "run make demo") from None
