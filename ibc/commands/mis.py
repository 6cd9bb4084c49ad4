"""Mutual information score: ``python compute_mutual_info_offline.py --is_mat_file --fea_file_path F ...``."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from ibc.commands.command import SEEDS, add_json_flag, add_seed_flag, command_parser, speaker
from ibc.json_report import write_json

if TYPE_CHECKING:
    from ibc.report.mis import MisReport

EXAMPLE = """
python compute_mutual_info_offline.py --is_mat_file --class_num 100 \\
    --fea_file_path results/imagenet100/test.mat --label_file_path results/imagenet100/test.mat
python compute_mutual_info_offline.py --fea_file_path results/sun_attr/test.npz --is_sun --repeats 10 --csv bits.csv
python compute_mutual_info_offline.py --class_num 100 --fea_dim 256 --sample_num 5000 \\
    --fea_file_path codes.bin --label_file_path labels.bin
"""


def build_parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "Mutual information score (MIS) of codes: the mean over bits of the largest mutual information, over classes, "
        "between the bit and 'in the class or not' (nats, at most ln 2 = 0.693). Prints the classes, the seconds and "
        "the MIS as the official program does, then both estimates and what random codes of the same balance reach.",
        EXAMPLE)
    parser.add_argument("--fea_file_path", required=True, metavar="FILE", help="codes: .npz, .mat, or raw float32")
    parser.add_argument("--label_file_path", metavar="FILE", help="labels, likewise (default: the codes file)")
    parser.add_argument("--is_mat_file", action="store_true",
                        help="both files are .mat (or .npz); implied by these endings")
    parser.add_argument("--class_num", type=int, metavar="C",
                        help="classes 0 to C-1 (default: the rows of the GRM; 100 for raw files)")
    parser.add_argument("--multi_label", action="store_true",
                        help="every column of lab is a class, 1 where an image has it: the positives of a class are "
                             "the images that have it, all others its negatives")
    parser.add_argument("--fea_dim", type=int, default=256, metavar="K", help="bits of a raw code (default: 256)")
    parser.add_argument("--sample_num", type=int, default=5000, metavar="N", help="codes in a raw file (default: 5000)")
    parser.add_argument("--is_sun", action="store_true", help="20 samples a class instead of 100")
    parser.add_argument("--samples", metavar="M", help="samples a class, or 'all' (class and rest weighted half each, "
                                                       "exact only); default: 100, 20 with --is_sun")
    parser.add_argument("--estimator", choices=["knn", "exact", "both"], default="both",
                        help="knn: the official one; exact: from the table of counts (default: both)")
    add_seed_flag(parser, 0, "of the samples, of the noise of knn and of the random codes")
    parser.add_argument("--repeats", type=int, default=1, metavar="R",
                        help="repeat with the seeds that follow, for mean and deviation (default: 1)")
    parser.add_argument("--csv", metavar="FILE", help="write a table with one row a bit")
    add_json_flag(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    from ibc.report.mis import load_values, measure, summary, write_table

    samples = _samples(args)
    estimators = ["knn", "exact"] if args.estimator == "both" else [args.estimator]
    values = load_values(args.fea_file_path, args.label_file_path, args.is_mat_file, args.sample_num, args.fea_dim,
                         args.class_num, args.multi_label)
    say = speaker(args.json_path)
    start = time.perf_counter()
    report = measure(values, estimators, samples, args.seed, args.repeats)
    seconds = time.perf_counter() - start
    for label in report.classes:
        say(str(label))
    say(f"{seconds:.3f}")
    say(f"{report.official:.6f}")
    say("")
    for line in summary(report):
        say(line)
    if args.csv:
        write_table(args.csv, report)
        say(f"wrote {args.csv}")
    if args.json_path:
        _write_json(args, report, samples)


def _samples(args: argparse.Namespace) -> int | str:
    from ibc.errors import input_error

    if args.seed + args.repeats > SEEDS:
        raise input_error("--seed and --repeats", f"{args.seed} and {args.repeats}", f"a sum of at most {SEEDS}")
    for flag in ("repeats", "class_num"):
        value = getattr(args, flag)
        if value is not None and value < 1:
            raise input_error(f"--{flag}", str(value), "at least 1")
    if args.samples is None:
        return 20 if args.is_sun else 100
    if args.samples == "all":
        if args.estimator != "exact":
            raise input_error("--samples", "'all' with the k-nearest-neighbour estimate", "a number",
                              "add --estimator exact")
        return "all"
    if not args.samples.isdecimal():
        raise input_error("--samples", f"'{args.samples}'", "a number from 2, or 'all'")
    return int(args.samples)


def _write_json(args: argparse.Namespace, report: MisReport, samples: int | str) -> None:
    files = dict.fromkeys([args.fea_file_path, args.label_file_path or args.fea_file_path])
    write_json(args.json_path, command="compute_mutual_info_offline", seed=args.seed,
               protocol={"samples": samples, "estimators": list(report.scores), "repeats": args.repeats,
                         "class_num": report.class_num, "multi_label": args.multi_label, "unit": "nats"},
               inputs=files, metrics=report.metrics())
