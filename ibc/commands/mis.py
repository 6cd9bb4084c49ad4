"""``ibc mis``, also ``python compute_mutual_info_offline.py``: the mutual information score of codes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ibc.commands.code_files import add_codes_flag, print_note
from ibc.commands.command import (
    SEEDS,
    Command,
    CommandParser,
    add_json_flag,
    add_seed_flag,
    command_parser,
    speaker,
)
from ibc.errors import input_error
from ibc.retrieval.defaults import MIS_SAMPLES, RAW_CLASSES, RAW_CODE_LENGTH, RAW_CODES, SEED, SUN_MIS_SAMPLES
from ibc.text_files import whole_number

if TYPE_CHECKING:
    from ibc.retrieval.repeated_mis import RepeatedMis

EXAMPLE = """
{prog} --is_mat_file --class_num 100 \\
    --fea_file_path results/imagenet100/test.mat --label_file_path results/imagenet100/test.mat
{prog} --fea_file_path results/sun_attr/test.npz --is_sun --repeats 10 --csv bits.csv
{prog} --class_num 100 --fea_dim 256 --sample_num 5000 \\
    --fea_file_path codes.bin --label_file_path labels.bin
"""


@dataclass(frozen=True)
class MisOptions:
    """The flags of ``ibc mis``."""

    fea_file_path: str
    label_file_path: str | None
    is_mat_file: bool
    class_num: int | None
    multi_label: bool
    fea_dim: int
    sample_num: int
    is_sun: bool
    samples: str | None
    estimator: str
    seed: int
    repeats: int
    csv: str | None
    json_path: str | None
    code_kind: str | None = None


def build_parser(prog: str | None = None) -> CommandParser:
    """The flags of ``ibc mis``, with their help."""
    parser = command_parser(
        "Mutual information score (MIS) of codes: the mean over bits of the largest mutual information, over classes, "
        "between the bit and 'in the class or not' (nats, at most ln 2 = 0.693). Prints the classes, the seconds and "
        "the MIS as the official program does, then both estimates and what random codes of the same balance reach.",
        EXAMPLE, prog)
    parser.add_argument("--fea_file_path", required=True, metavar="FILE", help="codes: .npz, .mat, or raw float32")
    parser.add_argument("--label_file_path", metavar="FILE", help="labels, likewise (default: the codes file)")
    parser.add_argument("--is_mat_file", action="store_true",
                        help="both files are .mat (or .npz); implied by these endings")
    add_codes_flag(parser)
    parser.add_argument("--class_num", type=int, metavar="C",
                        help=f"classes 0 to C-1 (default: the rows of the GRM; {RAW_CLASSES} for raw files)")
    parser.add_argument("--multi_label", action="store_true",
                        help="every column of lab is a class, 1 where an image has it: the positives of a class are "
                             "the images that have it, all others its negatives")
    parser.add_argument("--fea_dim", type=int, default=RAW_CODE_LENGTH, metavar="K",
                        help=f"bits of a raw code (default: {RAW_CODE_LENGTH})")
    parser.add_argument("--sample_num", type=int, default=RAW_CODES, metavar="N",
                        help=f"codes in a raw file (default: {RAW_CODES})")
    parser.add_argument("--is_sun", action="store_true",
                        help=f"{SUN_MIS_SAMPLES} samples a class instead of {MIS_SAMPLES}")
    parser.add_argument("--samples", metavar="M",
                        help="samples a class, or 'all' (class and rest weighted half each, exact only); default: "
                             f"{MIS_SAMPLES}, {SUN_MIS_SAMPLES} with --is_sun")
    parser.add_argument("--estimator", choices=["knn", "exact", "both"], default="both",
                        help="knn: the official one; exact: from the table of counts (default: both)")
    add_seed_flag(parser, SEED, "of the samples, of the noise of knn and of the random codes")
    parser.add_argument("--repeats", type=int, default=1, metavar="R",
                        help="repeat with the seeds that follow, for mean and deviation (default: 1)")
    parser.add_argument("--csv", metavar="FILE", help="write a table with one row a bit")
    add_json_flag(parser)
    return parser


def run(options: MisOptions) -> None:
    """Measure, print the official lines and the summary, and write the table and the JSON that are asked for."""
    samples = _samples(options)

    from ibc.report.mis import mis_lines, official_mis_lines, write_bit_table
    from ibc.retrieval.repeated_mis import load_mis_inputs, repeat_mis

    estimators = ["knn", "exact"] if options.estimator == "both" else [options.estimator]
    notes: list[str] = []
    inputs = load_mis_inputs(options.fea_file_path, options.label_file_path, is_mat=options.is_mat_file,
                             rows=options.sample_num, length=options.fea_dim, class_num=options.class_num,
                             multi_label=options.multi_label, kind=options.code_kind, say=notes.append)
    for note in notes:
        print_note(note)
    say = speaker(options.json_path)
    start = time.perf_counter()
    result = repeat_mis(inputs, estimators, samples, options.seed, options.repeats)
    for line in (*official_mis_lines(result, time.perf_counter() - start), "", *mis_lines(result)):
        say(line)
    if options.csv:
        write_bit_table(options.csv, result)
        say(f"wrote {options.csv}")
    if options.json_path:
        _write_json(options.json_path, options, result, samples, notes)


def _samples(options: MisOptions) -> int | str:
    """Samples a class, or "all". Raises InputError for numbers out of range."""
    if options.seed + options.repeats > SEEDS:
        raise input_error("--seed and --repeats", f"{options.seed} and {options.repeats}", f"a sum of at most {SEEDS}")
    for flag, value in (("repeats", options.repeats), ("class_num", options.class_num)):
        if value is not None and value < 1:
            raise input_error(f"--{flag}", str(value), "at least 1")
    if options.samples is None:
        return SUN_MIS_SAMPLES if options.is_sun else MIS_SAMPLES
    if options.samples == "all":
        if options.estimator != "exact":
            raise input_error("--samples", "'all' with the k-nearest-neighbour estimate", "a number",
                              "add --estimator exact")
        return "all"
    samples = whole_number(options.samples)
    if samples is None or samples < 0:
        raise input_error("--samples", f"'{options.samples}'", "a number from 2, or 'all'")
    return samples


def _write_json(path: str, options: MisOptions, result: RepeatedMis, samples: int | str,
                notes: list[str]) -> None:
    from ibc.json_report import write_json
    from ibc.report.mis import mis_metrics

    files = dict.fromkeys([options.fea_file_path, options.label_file_path or options.fea_file_path])
    write_json(path, command="compute_mutual_info_offline", seed=options.seed,
               protocol={"samples": samples, "estimators": list(result.scores), "repeats": options.repeats,
                         "class_num": result.class_num, "multi_label": options.multi_label, "unit": "nats",
                         "notes": notes},
               inputs=files, metrics=mis_metrics(result))


COMMAND = Command(build_parser, MisOptions, run)
