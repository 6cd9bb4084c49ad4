"""One page on one or several runs: ``python -m eval.report RUN...``; what differs: ``--diff a.json b.json``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibc.commands.command import add_device_flag, add_json_flag, add_seed_flag, command_parser, speaker
from ibc.errors import InputError, input_error
from ibc.json_report import versions, write_json
from ibc.progress import Progress

if TYPE_CHECKING:
    from ibc.report.locate import RunFiles
    from ibc.report.page import Run
    from ibc.report.scores import Options

EXAMPLE = """
python -m eval.report outputs/cifar10 --output report
python -m eval.report outputs/cifar10 ../old/outputs/cifar10 --codes test
python -m eval.report results/cifar10/test.npz released_codes.mat
python -m eval.report --diff first.json second.json
"""


def build_parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "Collect runs into one self-contained page (report.html, readable offline and on a phone) and PNG figures: "
        "scores with bounds, curves, rule matrix, classes, code health, configuration. A RUN is a codes file, or a "
        "folder that train.py wrote: OUT/outputs/MODEL, OUT/results/MODEL, or OUT where it holds one model. "
        "Configuration, TensorBoard logs and codes are found from there (OUT/outputs/MODEL/config.yaml, "
        "OUT/logs/MODEL/, the newest codes in OUT/results/MODEL/); what is missing is left out. Several runs become "
        "columns and overlaid curves.", EXAMPLE)
    parser.add_argument("runs", nargs="*", metavar="RUN", help="codes file or folder of a run")
    parser.add_argument("--codes", metavar="NAME|FILE",
                        help="codes of the runs given as folders: save name, or a file (default: the newest)")
    parser.add_argument("--output", default="report", metavar="DIR", help="folder to write (default: report)")
    parser.add_argument("--title", help="heading of the page (default: the runs' names)")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="what to call the runs, one name each")
    parser.add_argument("--class_names", metavar="FILE",
                        help="one name a line, in the order of the ids (default: classes.txt of the run's data_folder)")
    parser.add_argument("--top_k_bits", type=int, default=13, metavar="N", help="expert bits of a class (default: 13)")
    parser.add_argument("--draws", type=int, default=20, metavar="N", help="draws of random bits (default: 20)")
    parser.add_argument("--max_queries", type=int, default=2000, metavar="N",
                        help="queries in the curve over the number of bits (default: 2000)")
    parser.add_argument("--multi_label", action="store_true",
                        help="every column of lab is a class, 1 where an image has it; relevant are images that share "
                             "a label (default: model.multi_label of each run's configuration)")
    parser.add_argument("--is_sun", action="store_true", help="20 samples a class for the MIS instead of 100")
    parser.add_argument("--diff", nargs=2, metavar=("A.json", "B.json"),
                        help="instead: say what differs between two files that --json wrote")
    add_seed_flag(parser, 0, "of random bits, of the MIS samples and of the queries of the curve")
    add_device_flag(parser)
    add_json_flag(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    if args.diff:
        if args.runs or args.json_path:
            raise input_error("--diff", "runs or --json beside it", "--diff A.json B.json alone")
        return _diff(args)
    if not args.runs:
        raise input_error("RUN", "no run", "at least one codes file or folder", "or --diff A.json B.json")
    for flag, least in (("draws", 2), ("max_queries", 1), ("top_k_bits", 1)):
        if getattr(args, flag) < least:
            raise input_error(f"--{flag}", str(getattr(args, flag)), f"at least {least}")
    from ibc.files import atomic_write
    from ibc.report.locate import find_run
    from ibc.report.page import pictures, render
    from ibc.report.scores import Options

    found = [find_run(path, args.codes if Path(path).is_dir() else None) for path in args.runs]
    options = Options(args.top_k_bits, args.draws, args.seed, args.max_queries, samples=20 if args.is_sun else 100,
                      device=args.device)
    runs = _load(args, found, options)
    say = speaker(args.json_path)
    sections = pictures(runs)
    folder = Path(args.output)
    for picture in (picture for own in sections.values() for picture in own):
        with atomic_write(folder / "figures" / f"{picture.name}.png") as handle:
            handle.write(picture.png)
    title = args.title or " and ".join(run.name for run in runs)
    with atomic_write(folder / "report.html", "w") as handle:
        handle.write(render(title, runs, sections, options, versions()))
    say(f"wrote {folder / 'report.html'} and {sum(map(len, sections.values()))} figures in {folder / 'figures'}/")
    if args.json_path:
        _write(args, runs, options)
    return None


def _diff(args: argparse.Namespace) -> None:
    from ibc.report.diff import differences, read_report

    lines = differences(*map(read_report, args.diff))
    for line in lines or ["nothing differs"]:
        print(line)


def _load(args: argparse.Namespace, found: list[RunFiles], options: Options) -> list[Run]:
    """Read and score every run, under one progress bar."""
    from ibc.codes import load_codes
    from ibc.files import sha256
    from ibc.report.locate import read_config, read_scalars
    from ibc.report.page import Run
    from ibc.report.scores import score_run, steps

    names = _names(args, found)
    codes = [load_codes(files.codes) for files in found]
    for files, own in zip(found, codes, strict=True):
        if not len(own):
            raise input_error(files.codes, "no codes", "at least one")
    total = sum(steps(own.code_length, own.grm is not None, options) for own in codes)
    runs = []
    with Progress(total, "scoring", "rankings") as bar:
        for name, files, own in zip(names, found, codes, strict=True):
            config = read_config(files.config)
            multi_label = args.multi_label or config.get("model.multi_label") is True
            scores = score_run(own, options, bar.update, multi_label=multi_label, path=files.codes)
            runs.append(Run(name, files, own, scores, read_scalars(files.logs), config, sha256(files.codes),
                            _class_names(args.class_names, config)))
    return runs


def _names(args: argparse.Namespace, found: list[RunFiles]) -> list[str]:
    """Different names for all runs."""
    if args.names:
        if len(args.names) != len(found) or len(set(args.names)) != len(found):
            raise input_error("--names", " ".join(args.names), f"{len(found)} different names, one for each run")
        return args.names
    names = [files.name for files in found]
    if len(set(names)) < len(names):
        names = [f"{files.name}/{files.codes.stem}" for files in found]
    return names if len(set(names)) == len(names) else [f"{place} {name}" for place, name in enumerate(names, start=1)]


def _class_names(path: str | None, config: dict[str, Any]) -> dict[int, str]:
    """Class id -> name, from the file asked for, else from the run's data folder if it is here."""
    from ibc.data.zip_folder import file_of, read_bytes

    if not path and "data_folder" not in config:
        return {}
    try:
        text = read_bytes(path or file_of(str(config["data_folder"]), "classes.txt")).decode("utf-8-sig")
    except (OSError, InputError):
        if path:
            raise
        return {}
    return dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))


def _write(args: argparse.Namespace, runs: list[Run], options: Options) -> None:
    from ibc.report.metrics import run_metrics

    protocol = {
        "self": "keep", "ties": "stable", "divisor": "relevant items of the whole database",
        "trusted": "query left out, expected over ties",
        "relevant": {run.name: run.scores.labels.relevance for run in runs},
        "top_k_bits": options.top_k, "draws": options.draws, "neighbours": options.neighbours,
        "curve_queries": options.queries, "mis_samples": options.samples,
    }
    write_json(args.json_path, command="report", seed=args.seed, protocol=protocol,
               inputs=[file for run in runs for file in (run.files.codes, run.files.config) if file],
               metrics={run.name: run_metrics(run.scores) for run in runs})
