"""``ibc dissect --compare``: two or more dissections side by side, as tables, page and JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ibc.commands.command import speaker
from ibc.dissection.outputs import TALLY_FILE, load_tally, summary
from ibc.dissection.page.compare import Comparison, compare, render, run_names
from ibc.dissection.page.layer_page import display_name
from ibc.errors import input_error
from ibc.files import atomic_write
from ibc.json_report import write_json


def compare_runs(runs: list[str], output: Path, score_threshold: float, json_path: str | None) -> None:
    """Print the comparison of results folders and write ``compare.html`` to the folder ``output``.

    Raises InputError where there are fewer than two, or one that holds no dissection.
    """
    if len(runs) < 2:
        raise input_error("--compare", "one run", "two or more results folders")
    say = speaker(json_path)
    folders = [Path(run).resolve() for run in runs]
    result = compare(run_names(folders), [load_tally(folder) for folder in folders], score_threshold)
    _say(say, result)
    page = output / "compare.html"
    with atomic_write(page, "w") as handle:
        handle.write(render(result))
    say(f"wrote {page}")
    if json_path:
        write_json(json_path, command="dissect --compare", seed=None, protocol={"score_threshold": score_threshold},
                   inputs=[folder / TALLY_FILE if folder.is_dir() else folder for folder in folders],
                   metrics=_metrics(result))


def _metrics(result: Comparison) -> dict[str, Any]:
    found = {name: summary(tally, result.score_threshold)
             for name, tally in zip(result.names, result.tallies, strict=True)}
    return {"found": found, "remarks": result.remarks,
            "concepts": [{"label": own.label, "category": own.category, "units": own.units, "best_iou": own.best}
                         for own in result.concepts],
            "renamed": None if result.renamed is None else [
                {"unit": own.unit, "names": [{"label": label, "category": category, "iou": iou}
                                             for label, category, iou in own.names]} for own in result.renamed]}


def _say(say: Callable[[str], None], result: Comparison) -> None:
    for remark in result.remarks:
        say(f"note: {remark}")
    wide = max(16, *(len(name) + 2 for name in result.names))
    say(f"{'units (concepts)':<34}" + "".join(f"{name:>{wide}}" for name in result.names))
    found = [summary(tally, result.score_threshold) for tally in result.tallies]
    for rule in dict.fromkeys(rule for own in found for rule in own):
        cells = [f"{own[rule]['all']['units']} ({own[rule]['all']['concepts']})" if rule in own else "-"
                 for own in found]
        say(f"  {rule.replace('iou_', 'IoU >= ').replace('_', ' '):<32}" + "".join(f"{cell:>{wide}}" for cell in cells))
    for own in result.concepts:
        say(f"  {display_name(own.label)[:20]:<20} {own.category:<11}" +
            "".join(f"{units:>{wide - 7}} " + (f"{best:6.3f}" if units else f"{'-':>6}")
                    for units, best in zip(own.units, own.best, strict=True)))
    if result.renamed is not None:
        say(f"{len(result.renamed)} of {len(result.tallies[0].units)} units have another name")
