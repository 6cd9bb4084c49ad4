"""``ibc study``: train and score every run of a plan, and tabulate what they found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ibc.commands.command import Command, CommandParser, add_device_flag, command_parser
from ibc.device import keep_freed_memory, resolve_device
from ibc.errors import input_error
from ibc.ready_configs import find_config
from ibc.screen import show

EXAMPLE = """
{prog} configs/study_cifar10.yaml -o studies/cifar10
{prog} configs/study_cifar10.yaml -o studies/cifar10 --group short --part 1/2
{prog} configs/study_cifar10.yaml -o studies/cifar10 --table
"""


@dataclass(frozen=True)
class StudyOptions:
    """The flags of ``ibc study``."""

    plan: str
    output: str
    groups: list[str] | None
    part: str
    overrides: list[str]
    table: bool
    device: str


def build_parser(prog: str | None = None) -> CommandParser:
    """The flags of ``ibc study``, with their help."""
    parser = command_parser("Train and score every run of a plan (methods x code lengths x seeds), one at a time, and "
                            "write one table. Finished runs are kept, an interrupted one goes on: run the same command "
                            "again.", EXAMPLE, prog)
    parser.add_argument("plan", metavar="PLAN", help="YAML file that lists the runs, or a ready one in configs/")
    parser.add_argument("-o", "--output", required=True, metavar="DIR",
                        help="folder of the runs, of results.json, of table.md and of two figures")
    parser.add_argument("--group", action="append", metavar="NAME", dest="groups",
                        help="only this group of runs (repeatable; default: all)")
    parser.add_argument("--part", default="1/1", metavar="I/N",
                        help="every N-th run, from the I-th: one command a GPU, on the same folder (default: 1/1)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                        help="replace a value of the configuration in every run (repeatable)")
    parser.add_argument("--table", action="store_true", help="train nothing: tabulate the finished runs")
    add_device_flag(parser)
    return parser


def run(options: StudyOptions) -> int:
    """Make the runs and write the table; returns 0, or the exit code of a training that a signal stopped."""
    first, count = _part(options.part)
    from ibc.study.plan import read_plan
    from ibc.study.table import markdown

    plan = read_plan(find_config(options.plan), options.overrides)
    runs, folder = plan.runs(options.groups), Path(options.output)
    if not options.table:
        from ibc.study.run import RUNS, make_run, read_result

        device = resolve_device(options.device)
        keep_freed_memory(device)
        mine = runs[first - 1 :: count]
        for number, one in enumerate(mine, start=1):
            if read_result(folder / RUNS / one.name):
                continue
            show(f"run {number} of {len(mine)}: {one.name}")
            _, code = make_run(plan, one, folder, device)
            if code:
                return code
    found = _collect(folder, [one.name for one in runs])
    for line in markdown(found).splitlines() if found else ["no run is finished"]:
        show(line)
    return 0


def _collect(folder: Path, names: list[str]) -> list[dict]:
    """The results of the finished runs; also written to results.json, table.md and three figures."""
    import json

    from ibc.files import atomic_write
    from ibc.study.plots import code_length_figure, expert_bits_figure, scores_figure
    from ibc.study.run import RUNS, read_result
    from ibc.study.table import markdown

    found = [result for name in names if (result := read_result(folder / RUNS / name))]
    if found:
        with atomic_write(folder / "results.json", "w") as handle:
            json.dump(found, handle, indent=1)
        with atomic_write(folder / "table.md", "w") as handle:
            handle.write(markdown(found))
        for name, draw in (("code_length", code_length_figure), ("expert_bits", expert_bits_figure),
                           ("scores", scores_figure)):
            with atomic_write(folder / f"{name}.png") as handle:
                handle.write(draw(found))
    return found


def _part(text: str) -> tuple[int, int]:
    first, _, count = text.partition("/")
    if not (first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count)):
        raise input_error("--part", f"'{text}'", "I/N with 1 <= I <= N, as in 1/4")
    return int(first), int(count)


COMMAND = Command(build_parser, StudyOptions, run)
