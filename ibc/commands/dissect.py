"""``ibc dissect``, also ``python netdissect_lite/main.py``: which concept each filter, hence each bit, responds to."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ibc.commands.command import Command, CommandParser, speaker
from ibc.commands.dissect_defaults import LIBRARY_DEFAULTS, DissectDefaults, read_settings_file
from ibc.commands.dissect_flags import DissectOptions, build_parser, settings_from
from ibc.errors import input_error
from ibc.screen import show

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np

    from ibc.commands.dissect_text import Subject
    from ibc.dissection.encoders import Encoder
    from ibc.dissection.tally import Tally


def command_with(settings_module: ModuleType, prog: str) -> Command[DissectOptions]:
    """The same command for a settings file of the official tool, which says what is done where a flag is not given.

    settings_module: read when the command runs. prog: the name that the help shows.
    """
    def parser(given: str | None = None) -> CommandParser:
        return build_parser(given or prog, settings_file=True)

    return Command(parser, DissectOptions, lambda options: run(options, read_settings_file(settings_module)))


def run(options: DissectOptions, defaults: DissectDefaults = LIBRARY_DEFAULTS) -> None:
    """Dissect, or with ``--compare`` compare dissections."""
    if options.compare:
        from ibc.commands.dissect_compare import compare_runs

        threshold = options.score_threshold
        compare_runs(options.compare, Path(options.output or defaults.results / "compare"),
                     defaults.settings.score_threshold if threshold is None else threshold, options.json_path)
    else:
        dissect(options, defaults)


def dissect(options: DissectOptions, defaults: DissectDefaults) -> None:
    """Dissect every layer, or take what an equal run has found before; write and print the results."""
    from ibc.commands.dissect_model import model_source
    from ibc.commands.dissect_text import Subject, say_data
    from ibc.data.broden.dataset import load_broden
    from ibc.dissection.outputs import read_thresholds
    from ibc.dissection.pipeline import run_key, suited
    from ibc.dissection.reading import input_size
    from ibc.files import only_writer

    say = speaker(options.json_path)
    source = model_source(options, defaults)
    folder = Path(options.output) if options.output else source.output
    settings = settings_from(options, defaults, source.crop, str(folder))
    data = options.broden or defaults.broden
    if data is None:
        raise input_error("--broden", "no data", "a folder in Broden format", "ibc prepare broden makes one")
    broden = load_broden(data, settings.categories, options.index or defaults.index_file)
    say_data(say, broden, settings.null)
    if source.remark:
        say(f"note: {source.remark}")
    encoder = source.load()
    settings = suited(settings, encoder)
    size = input_size(broden, settings.image_size)
    if broden.image_sizes != [size]:
        say(f"images are resized to {size[0]} x {size[1]} pixels")
    subject = Subject(source, broden, settings, size, options.thresholds)
    thresholds = None
    if options.thresholds:
        if len(encoder.layers) > 1:
            raise input_error("--thresholds", f"{len(encoder.layers)} layers", "one layer")
        thresholds = [read_thresholds(options.thresholds)]
    key = run_key(encoder, broden, settings, thresholds)  # a missing image is found here
    with only_writer(folder):
        _dissect_into(folder, encoder, subject, options, thresholds, key)


def _dissect_into(folder: Path, encoder: Encoder, subject: Subject, options: DissectOptions,
                  thresholds: list[np.ndarray] | None, key: str) -> None:
    """The part that writes to ``folder``. key: as for ``dissect_layers``."""
    from ibc.commands.dissect_text import page_facts, say_results, write_report
    from ibc.dissection.outputs import finished, write_results
    from ibc.dissection.page.layer_page import clear_pages, write_page
    from ibc.dissection.pipeline import DissectionRun, dissect_layers
    from ibc.dissection.resume import unfinished_key

    say = speaker(options.json_path)
    source, broden, settings, size = subject.source, subject.broden, subject.settings, subject.size
    folders = [folder if len(encoder.layers) == 1 else folder / layer for layer in encoder.layers]
    done = [finished(own, key) for own in folders]
    if all(done):
        result = DissectionRun([tally for tally in done if tally is not None])
        for own, tally in zip(folders, result.tallies, strict=True):
            write_results(own, tally, settings.score_threshold)  # the threshold of the summary may be another one
        say("nothing that moves a number has changed: results taken from the last run")
    else:
        if unfinished_key(folder) not in (None, key):
            say("note: the unfinished run in this folder is of another model, of other settings, or of other or "
                "changed data; starting anew")
        def write(tallies: list[Tally]) -> None:
            for own, tally in zip(folders, tallies, strict=True):
                clear_pages(own)  # those of the results before, perhaps of another layer
                write_results(own, tally, settings.score_threshold)

        try:
            result = dissect_layers(encoder, broden, settings, key=key, thresholds=thresholds, write=write)
        except KeyboardInterrupt:
            show("stopping; the same command goes on from here", sys.stderr)
            raise
    del encoder  # its weights are not needed for the page
    begin = time.perf_counter()
    for own, tally in zip(folders, result.tallies, strict=True):
        page = write_page(own, tally, broden, size, title=source.title, score_threshold=settings.score_threshold,
                          facts=page_facts(subject, tally))
        say_results(say, tally, settings.score_threshold)
        say(f"wrote {own}/tally.csv, units.csv, tally.json, quantile.npy and {page}")
    result.seconds["page"] = time.perf_counter() - begin
    rates = [f"{name} {len(broden) / result.seconds[name]:.1f} images/s" for name in ("features", "tally")
             if not result.continued and name in result.seconds]
    say(", ".join([*rates, f"page {result.seconds['page']:.1f} s"]))
    if options.json_path:
        write_report(options.json_path, subject, result)


COMMAND = Command(build_parser, DissectOptions, run)
