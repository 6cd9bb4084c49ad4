"""``ibc report``, also ``python -m eval.report``: one page on one or several runs; or what differs between two."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibc.commands.code_files import add_codes_flag, print_label_notes, read_codes
from ibc.commands.command import (
    Command,
    CommandParser,
    add_device_flag,
    add_json_flag,
    add_seed_flag,
    command_parser,
    speaker,
)
from ibc.errors import input_error
from ibc.retrieval.defaults import CURVE_QUERIES, EXPERT_BITS, MIS_SAMPLES, RANDOM_DRAWS, SEED, SUN_MIS_SAMPLES
from ibc.screen import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ibc.report.locate import RunFiles
    from ibc.report.run import ReportRun
    from ibc.report.scores import ScoreSettings

EXAMPLE = """
{prog} outputs/cifar10 --output report
{prog} outputs/cifar10 ../old/outputs/cifar10 --codes test
{prog} results/cifar10/test.npz released_codes.mat
{prog} --diff first.json second.json
"""


@dataclass(frozen=True)
class ReportOptions:
    """The flags of ``ibc report``."""

    runs: list[str]
    codes: str | None
    output: str
    title: str | None
    names: list[str] | None
    class_names: str | None
    top_k_bits: int
    draws: int
    max_queries: int
    multi_label: bool
    is_sun: bool
    diff: list[str] | None
    seed: int
    device: str
    json_path: str | None
    code_kind: str | None = None


def build_parser(prog: str | None = None) -> CommandParser:
    """The flags of ``ibc report``, with their help."""
    parser = command_parser(
        "Collect runs into one self-contained page (report.html, readable offline and on a phone) and PNG figures: "
        "scores with bounds, curves, rule matrix, classes, code health, configuration. A RUN is a codes file, or a "
        "folder that train.py wrote: OUT/outputs/MODEL, OUT/results/MODEL, or OUT where it holds one model. "
        "Configuration, TensorBoard logs and codes are found from there (OUT/outputs/MODEL/config.yaml, "
        "OUT/logs/MODEL/, the newest codes in OUT/results/MODEL/); what is missing is left out. Several runs become "
        "columns and overlaid curves.", EXAMPLE, prog)
    parser.add_argument("runs", nargs="*", metavar="RUN", help="codes file or folder of a run")
    parser.add_argument("--codes", metavar="NAME|FILE",
                        help="codes of the runs given as folders: save name, or a file (default: the newest)")
    add_codes_flag(parser, "--code_kind")
    parser.add_argument("--output", default="report", metavar="DIR", help="folder to write (default: report)")
    parser.add_argument("--title", help="heading of the page (default: the runs' names)")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="what to call the runs, one name each")
    parser.add_argument("--class_names", metavar="FILE",
                        help="one name a line, in the order of the ids (default: classes.txt of the run's data_folder)")
    parser.add_argument("--top_k_bits", type=int, default=EXPERT_BITS, metavar="N",
                        help=f"expert bits of a class (default: {EXPERT_BITS})")
    parser.add_argument("--draws", type=int, default=RANDOM_DRAWS, metavar="N",
                        help=f"draws of random bits (default: {RANDOM_DRAWS})")
    parser.add_argument("--max_queries", type=int, default=CURVE_QUERIES, metavar="N",
                        help=f"queries in the curve over the number of bits (default: {CURVE_QUERIES})")
    parser.add_argument("--multi_label", action="store_true",
                        help="every column of lab is a class, 1 where an image has it; relevant are images that share "
                             "a label (default: model.multi_label of each run's configuration)")
    parser.add_argument("--is_sun", action="store_true",
                        help=f"{SUN_MIS_SAMPLES} samples a class for the MIS instead of {MIS_SAMPLES}")
    parser.add_argument("--diff", nargs=2, metavar=("A.json", "B.json"),
                        help="instead: say what differs between two files that --json wrote")
    add_seed_flag(parser, SEED, "of random bits, of the MIS samples and of the queries of the curve")
    add_device_flag(parser)
    add_json_flag(parser)
    return parser


def run(options: ReportOptions) -> None:
    """Score every run and write the page, its figures and the JSON; with ``--diff`` compare two JSON files."""
    if options.diff:
        if options.runs or options.json_path:
            raise input_error("--diff", "runs or --json beside it", "--diff A.json B.json alone")
        return _print_differences(options.diff)
    if not options.runs:
        raise input_error("RUN", "no run", "at least one codes file or folder", "or --diff A.json B.json")
    for flag, value, least in (("draws", options.draws, 2), ("max_queries", options.max_queries, 1),
                               ("top_k_bits", options.top_k_bits, 1)):
        if value < least:
            raise input_error(f"--{flag}", str(value), f"at least {least}")
    from ibc.files import atomic_write, only_writer
    from ibc.json_report import versions
    from ibc.report.locate import find_run
    from ibc.report.page import render
    from ibc.report.page_figures import page_figures
    from ibc.report.scores import ScoreSettings

    found = [find_run(path, options.codes if Path(path).is_dir() else None) for path in options.runs]
    settings = ScoreSettings(options.top_k_bits, options.draws, options.seed, options.max_queries,
                             samples=SUN_MIS_SAMPLES if options.is_sun else MIS_SAMPLES, device=options.device)
    runs = _score(options, found, settings)
    say = speaker(options.json_path)
    sections = page_figures(runs)
    folder = Path(options.output)
    title = options.title or " and ".join(run.name for run in runs)
    with only_writer(folder):
        for figure in (figure for own in sections.values() for figure in own):
            with atomic_write(folder / "figures" / f"{figure.name}.png") as handle:
                handle.write(figure.png)
        with atomic_write(folder / "report.html", "w") as handle:
            handle.write(render(title, runs, sections, settings, versions()))
    say(f"wrote {folder / 'report.html'} and {sum(map(len, sections.values()))} figures in {folder / 'figures'}/")
    if options.json_path:
        _write_json(options.json_path, runs, settings)
    return None


def _print_differences(paths: Sequence[str]) -> None:
    from ibc.report.diff import differences, read_report

    lines = differences(*map(read_report, paths))
    for line in lines or ["nothing differs"]:
        show(line)


def _score(options: ReportOptions, found: list[RunFiles], settings: ScoreSettings) -> list[ReportRun]:
    """Read and score every run, under one progress bar."""
    from ibc.files import sha256
    from ibc.progress import Progress
    from ibc.report.locate import read_config, read_scalars
    from ibc.report.run import ReportRun
    from ibc.report.scores import score_run, steps

    names = _names(options.names, found)
    codes = [read_codes(files.codes, options.code_kind) for files in found]
    for files, own in zip(found, codes, strict=True):
        if not len(own):
            raise input_error(files.codes, "no codes", "at least one")
    total = sum(steps(own.code_length, own.grm is not None, settings) for own in codes)
    runs = []
    with Progress(total, "scoring", "rankings") as bar:
        for name, files, own in zip(names, found, codes, strict=True):
            config = read_config(files.config)
            multi_label = options.multi_label or config.get("model.multi_label") is True
            print_label_notes(own, multi_label)
            scores = score_run(own, settings, bar.update, multi_label=multi_label, path=files.codes,
                               ranked=bar.within)
            runs.append(ReportRun(name, files, own, scores, read_scalars(files.logs), config, sha256(files.codes),
                                  _class_names(options.class_names, config)))
    return runs


def _names(wish: list[str] | None, found: list[RunFiles]) -> list[str]:
    """Different names for all runs."""
    if wish:
        if len(wish) != len(found) or len(set(wish)) != len(found):
            raise input_error("--names", " ".join(wish), f"{len(found)} different names, one for each run")
        return wish
    names = [files.name for files in found]
    if len(set(names)) < len(names):
        names = [f"{files.name}/{files.codes.stem}" for files in found]
    return names if len(set(names)) == len(names) else [f"{place} {name}" for place, name in enumerate(names, start=1)]


def _class_names(path: str | None, config: dict[str, Any]) -> dict[int, str]:
    """Class id -> name, from the file asked for, else from the run's data folder if it is here."""
    from ibc.data.zip_folder import file_of, read_bytes
    from ibc.text_files import decode_text, names_of_text

    if not path and "data_folder" not in config:
        return {}
    try:
        name = path or file_of(str(config["data_folder"]), "classes.txt")
        return dict(enumerate(names_of_text(decode_text(read_bytes(name, regular=not path), name), name)))
    except (OSError, ValueError):  # ValueError: InputError, or a zero byte in the name of the folder
        if path:
            raise
        return {}


def _write_json(path: str, runs: list[ReportRun], settings: ScoreSettings) -> None:
    from ibc.json_report import write_json
    from ibc.report.metrics import run_metrics

    protocol = {
        "self": "keep", "ties": "stable", "divisor": "relevant items of the whole database",
        "trusted": "query left out, expected over ties",
        "relevant": {run.name: run.scores.labels.relevance for run in runs},
        "top_k_bits": settings.top_k, "draws": settings.draws, "neighbours": settings.neighbours,
        "curve_queries": settings.queries, "mis_samples": settings.samples,
    }
    write_json(path, command="report", seed=settings.seed, protocol=protocol,
               inputs=[file for run in runs for file in (run.files.codes, run.files.config) if file],
               metrics={run.name: run_metrics(run.scores) for run in runs})


COMMAND = Command(build_parser, ReportOptions, run)
