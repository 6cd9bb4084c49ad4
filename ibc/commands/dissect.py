"""Dissect a network: which concept does each filter, hence each bit, respond to?

``python netdissect_lite/main.py`` from the repository root, ``python main.py`` from this folder, or
``python -m netdissect_lite.main``; without flags it does what ``settings.py`` says.
"""

from __future__ import annotations

import argparse
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibc.commands.command import add_device_flag, add_json_flag, add_seed_flag, command_parser, speaker
from ibc.dissection.settings import Settings, from_module, memory_size, number_ranges
from ibc.errors import input_error
from ibc.json_report import write_json
from netdissect_lite import settings as settings_module

if TYPE_CHECKING:
    from collections.abc import Callable

    from ibc.commands.dissect_model import Source
    from ibc.data.broden.dataset import Broden
    from ibc.dissection.pipeline import Run
    from ibc.dissection.tally import Tally

EXAMPLE = """
python netdissect_lite/main.py --checkpoint outputs/imagenet100/checkpoints --broden datasets/broden1_227
python netdissect_lite/main.py --model resnet18 --layer layer3 --layer layer4 --weights resnet18.pth \\
    --broden datasets/broden1_224 --output dissections/resnet18
python netdissect_lite/main.py --compare dissections/a dissections/b --output dissections/a-b
"""
HERE = Path(settings_module.__file__).parent
SHOWN = 10  # units printed


def build_parser() -> argparse.ArgumentParser:
    parser = command_parser("Name the filters (and so the bits) of a network by the concepts they respond to: IoU of "
                            "masks and label maps on Broden-format data, against chance. Without flags: as "
                            "settings.py says.", EXAMPLE)
    model = parser.add_argument_group("model")
    model.add_argument("--checkpoint", metavar="FILE", help="IBC checkpoint, of this project or the official one, or "
                       "a folder whose newest is taken")
    model.add_argument("--config", metavar="FILE", help="YAML configuration to take the image size from, for a "
                       "checkpoint that does not carry its own")
    model.add_argument("--model", metavar="NAME", help="a torchvision network instead, such as resnet18")
    model.add_argument("--layer", metavar="NAME", action="append", help="its layer (repeat for several)")
    model.add_argument("--weights", metavar="FILE", help="its weights: a file, or 'imagenet' for those that "
                       "torchvision publishes (default: random ones)")
    data = parser.add_argument_group("data")
    data.add_argument("--broden", metavar="DIR", help="folder in Broden format")
    data.add_argument("--index", metavar="FILE", help="index file in it, such as index_sm.csv")
    data.add_argument("--categories", metavar="A,B", help="categories to name units by")
    data.add_argument("--image_size", type=int, metavar="N", help="encode at N x N pixels (default: the crop of the "
                      "config, else as stored)")
    method = parser.add_argument_group("method")
    method.add_argument("--units", metavar="1-16,40", help="dissect these units only (default: all)")
    method.add_argument("--quantile", type=float, metavar="Q", help="a unit fires where its response is among this "
                        "upper fraction (default: 0.005)")
    method.add_argument("--quantile_position", choices=["official", "exact"],
                        help="official: the 994/999 quantile for Q = 0.005; exact: 1 - Q (default: official)")
    method.add_argument("--thresholds", metavar="FILE", help="take these (a quantile.npy) instead of the quantile; "
                        "one layer")
    method.add_argument("--normalization", choices=["official", "training"],
                        help="pixels as the official dissection scales them, or as in training (default: official)")
    method.add_argument("--null", type=int, metavar="N", help="chance pairings (default: 20; 0: none)")
    add_seed_flag(parser, 1, "of the pairings")
    output = parser.add_argument_group("output")
    output.add_argument("--output", metavar="DIR", help="folder of the results (default: netdissect_lite/result/NAME)")
    output.add_argument("--score_threshold", type=float, metavar="IOU",
                        help="IoU from which a unit counts as interpretable (default: 0.01)")
    output.add_argument("--top", type=int, metavar="N", help="images shown for each unit (default: 10)")
    output.add_argument("--compare", nargs="+", metavar="RUN", help="compare results folders instead of dissecting")
    add_json_flag(parser)
    machine = parser.add_argument_group("machine")
    add_device_flag(parser)
    machine.add_argument("--memory", metavar="SIZE", help="for feature maps and tables; what does not fit is encoded "
                         "twice, with the same result (default: 384M, on a GPU 8G)")
    machine.add_argument("--batch_size", type=int, metavar="N", help="images encoded together (default: 128)")
    machine.add_argument("--workers", type=int, metavar="N", help="processes that decode, at most one a core "
                         "(default: 8)")
    return parser


def main(args: argparse.Namespace) -> None:
    if args.compare:
        from ibc.dissection.page.compare import compare_command

        values = from_module(settings_module)
        threshold = values["SCORE_THRESHOLD"] if args.score_threshold is None else args.score_threshold
        compare_command(args.compare, Path(args.output or HERE / "result" / "compare"), threshold, args.json_path)
        return
    dissect_command(args)


def dissect_command(args: argparse.Namespace) -> None:
    from ibc.commands.dissect_model import model_source
    from ibc.data.broden.dataset import load_broden
    from ibc.dissection.outputs import finished, write_results
    from ibc.dissection.page.layer_page import clear_pages, write_page
    from ibc.dissection.pipeline import Run, dissect_layers, run_key
    from ibc.dissection.reading import input_size

    say = speaker(args.json_path)
    values = from_module(settings_module)
    source = model_source(args, values)
    folder = Path(args.output) if args.output else source.default_output
    settings = _settings(args, values, source.crop, folder)
    data = Path(args.broden) if args.broden else HERE / values["DATA_DIRECTORY"]
    broden = load_broden(data, settings.categories, args.index or values["INDEX_FILE"])
    _say_data(say, broden, settings.null)
    if source.remark:
        say(f"note: {source.remark}")
    encoder = source.load()
    size = input_size(broden, settings.image_size)
    if broden.image_sizes != [size]:
        say(f"images are resized to {size[0]} x {size[1]} pixels")
    thresholds = None
    if args.thresholds:
        if len(encoder.layers) > 1:
            raise input_error("--thresholds", f"{len(encoder.layers)} layers", "one layer")
        thresholds = [_read_thresholds(args.thresholds)]
    folders = [folder if len(encoder.layers) == 1 else folder / layer for layer in encoder.layers]
    key = run_key(encoder, broden, settings, thresholds)
    done = [finished(own, key) for own in folders]
    if all(done):
        run = Run([tally for tally in done if tally is not None])
        for own, tally in zip(folders, run.tallies, strict=True):
            write_results(own, tally, settings.score_threshold)  # the threshold of the summary may be another one
        say("nothing that moves a number has changed: results taken from the last run")
    else:
        folder.mkdir(parents=True, exist_ok=True)  # what cannot be written to is found at once

        def write(tallies: list[Tally]) -> None:
            for own, tally in zip(folders, tallies, strict=True):
                clear_pages(own)  # those of the results before, perhaps of another layer
                write_results(own, tally, settings.score_threshold)

        try:
            run = dissect_layers(encoder, broden, settings, key=key, thresholds=thresholds, write=write)
        except KeyboardInterrupt:
            print("stopping; the same command goes on from here", file=sys.stderr)
            raise
    del encoder  # its weights are not needed for the page
    begin = time.perf_counter()
    for own, tally in zip(folders, run.tallies, strict=True):
        page = write_page(own, tally, broden, size, title=source.title, score_threshold=settings.score_threshold,
                          facts=_facts(source, broden, settings, size, tally, args.thresholds))
        _say_results(say, tally, settings.score_threshold)
        say(f"wrote {own}/tally.csv, units.csv, tally.json, quantile.npy and {page}")
    run.seconds["page"] = time.perf_counter() - begin
    rates = [f"{name} {len(broden) / run.seconds[name]:.1f} images/s" for name in ("features", "tally")
             if not run.continued and name in run.seconds]
    say(", ".join([*rates, f"page {run.seconds['page']:.1f} s"]))
    if args.json_path:
        _write_json(args.json_path, source, broden, settings, size, run, args.thresholds)


def _settings(args: argparse.Namespace, values: dict[str, Any], crop: tuple[int, int] | None, folder: Path) -> Settings:
    """Flags over settings.py over the defaults."""
    side = values["IMG_SIZE"] if args.image_size is None else args.image_size
    named = values["CATAGORIES"] if args.categories is None else args.categories.split(",")
    chosen = {
        "quantile": args.quantile if args.quantile is not None else values["QUANTILE"],
        "quantile_position": args.quantile_position, "normalization": args.normalization,
        "score_threshold": args.score_threshold if args.score_threshold is not None else values["SCORE_THRESHOLD"],
        "top_n": args.top if args.top is not None else values["TOPN"],
        "categories": tuple(dict.fromkeys(name.strip() for name in named if name.strip())),
        "image_size": (side, side) if side is not None else crop,
        "units": number_ranges(args.units, "--units") if args.units else None, "null": args.null, "seed": args.seed,
        "batch_size": args.batch_size if args.batch_size is not None else values["BATCH_SIZE"],
        "workers": args.workers if args.workers is not None else values["WORKERS"],
        "memory": memory_size(args.memory) if args.memory else None, "output": str(folder),
        "device": args.device if values["GPU"] or args.device != "auto" else "cpu",
    }
    return Settings(**{name: value for name, value in chosen.items() if value is not None})


def _read_thresholds(path: str) -> Any:
    import numpy as np

    try:
        return np.asarray(np.load(path, allow_pickle=False), np.float64)
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile):
        raise input_error(path, "an unreadable file", "a quantile.npy of a dissection") from None


def _say_data(say: Callable[[str], None], broden: Broden, null: int) -> None:
    dropped = f", {broden.dropped} without a label left out" if broden.dropped else ""
    absent = f" (it has no {', '.join(broden.absent)})" if broden.absent else ""
    say(f"{broden.folder}: {len(broden)} images{dropped}; labels of {', '.join(broden.categories)}{absent}")
    alike = Counter(record.map_size for record in broden.records)  # pairings are made among maps of one size
    few = sum(count for count in alike.values() if count <= null)
    if few:
        say(f"note: {few} images have too few others with label maps of their size for {null} different pairings")


def _say_results(say: Callable[[str], None], tally: Tally, threshold: float) -> None:
    """The best units, and what was found in each category."""
    from ibc.dissection.outputs import summary
    from ibc.dissection.page.layer_page import display_name

    say(f"\n{tally.layer}: the best of {len(tally.units)} units")
    with_chance = bool(tally.null.shape[1])
    say(f"{'unit':>6}  {'concept':<24} {'category':<10} {'IoU':>6}" + "  chance" * with_chance)
    for row in tally.by_score[:SHOWN]:
        chance = f"  {tally.chance[row]:6.3f}{'  above' * bool(tally.beats_chance[row])}" * with_chance
        say(f"{tally.units[row]:6d}  {display_name(tally.names[tally.label[row]])[:24]:<24} "
            f"{tally.categories[tally.category[row]]:<10} {tally.score[row]:6.3f}{chance}")
    counts = summary(tally, threshold)
    nameless = [number for number in tally.truth.nonzero()[0].tolist() if not tally.names[number]]
    if nameless:
        say(f"note: the label maps hold numbers that label.csv does not list: {', '.join(map(str, nameless))}")
    say("\nunits (concepts)  " + "".join(f"{rule.replace('iou_', 'IoU >= ').replace('_', ' '):>16}" for rule in counts))
    for category in [*tally.categories, "all"]:
        cells = [f"{own[category]['units']} ({own[category]['concepts']})" for own in counts.values()]
        say(f"  {category:<16}" + "".join(f"{cell:>16}" for cell in cells))


def _facts(source: Source, broden: Broden, settings: Settings, size: tuple[int, int],
           tally: Tally, thresholds: str | None) -> list[tuple[str, str]]:
    """What the page says of model and settings."""
    error = f", within {tally.rank_error:.1e} of the ranks" if tally.rank_error else ""
    return [("Model", ", ".join(map(str, source.files)) or source.title),
            ("Data", f"{broden.folder} ({broden.index_file}), {len(broden)} images at {size[0]} × {size[1]} pixels"),
            ("Threshold", f"given: {thresholds}" if thresholds else
             f"upper {settings.quantile:g} of responses, {settings.quantile_position} position{error}"),
            ("Normalisation", settings.normalization),
            ("Chance", f"{settings.null} pairings, seed {settings.seed}"), ("Key", tally.key)]


def _write_json(path: str, source: Source, broden: Broden, settings: Settings, size: tuple[int, int],
                run: Run, thresholds: str | None) -> None:
    import numpy as np

    from ibc.dissection.outputs import summary

    layers = {}
    for tally in run.tallies:
        layers[tally.layer] = {"key": tally.key, "units": len(tally.units),
                               "best_iou": float(tally.score.max()), "mean_iou": float(tally.score.mean()),
                               "found": summary(tally, settings.score_threshold)}
        if tally.alignment is not None:
            known = tally.alignment.correlation[np.isfinite(tally.alignment.correlation)]
            layers[tally.layer]["bit_correlation_mean"] = float(known.mean()) if len(known) else None
            layers[tally.layer]["bit_images_iou_mean"] = float(tally.alignment.iou.mean())
    write_json(path, command="dissect", seed=settings.seed,
               protocol={**run.tallies[0].settings, "image_size": list(size),
                         "score_threshold": settings.score_threshold, "resize": "bilinear, 32-bit",
                         "iou": "both / (activation + truth - both)"},
               inputs=[*source.files, broden.folder / broden.index_file, *([Path(thresholds)] if thresholds else [])],
               metrics={"images": len(broden), "layers": layers, "seconds": run.seconds})
