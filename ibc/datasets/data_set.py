"""What ``ibc prepare`` needs to know of a data set.

A file of ``ibc.datasets.prepare`` defines ``DATA_SET``, a ``DataSet``. Most are sets of images, made by ``image_set``
from a function that plans which images go into which list; the others do all their work themselves.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from ibc.datasets.building.options import BuildOptions, add_build_flags
from ibc.datasets.building.plan import PreparationPlan

Options = TypeVar("Options")
ImageSetOptions = TypeVar("ImageSetOptions", bound=BuildOptions)


@dataclass(frozen=True)
class DataSet(Generic[Options]):
    """A data set of ``ibc prepare NAME``; NAME is the name of its file.

    summary: its line in ``ibc prepare --help``. description: the first lines of its own help. example: the words after
    NAME in the example of its help. add_flags: adds its flags to a parser. options: a dataclass with a field for each
    flag, named as the flag's ``dest``. prepare: makes the data set, and yields lines for people. seed: what ``--seed``
    decides, as in "of the split"; where it is empty there is no such flag (else ``options`` has a field ``seed``).
    """

    summary: str
    description: str
    example: str
    add_flags: Callable[[argparse.ArgumentParser], None]
    options: type[Options]
    prepare: Callable[[Options], Iterable[str]]
    seed: str = ""


def _nothing_more(options: BuildOptions, manifest: dict[str, Any]) -> Iterable[str]:
    return ()


def image_set(*, summary: str, example: str, options: type[ImageSetOptions],
              add_flags: Callable[[argparse.ArgumentParser], None],
              plan: Callable[[ImageSetOptions], PreparationPlan], seed: str = "",
              finish: Callable[[ImageSetOptions, dict[str, Any]], Iterable[str]] = _nothing_more,
              ) -> DataSet[ImageSetOptions]:
    """A data set of images and list files: its plan is carried out by ``ibc.datasets.building.build``.

    It takes the flags of ``BuildOptions``, then those that ``add_flags`` adds, then the destination. plan: decides
    from the options which images go into which list. finish: what is left to do with options and manifest once all is
    built; yields more lines for people.
    """

    def add_all_flags(parser: argparse.ArgumentParser) -> None:
        add_build_flags(parser)
        add_flags(parser)
        parser.add_argument("destination", metavar="DST")

    def prepare(chosen: ImageSetOptions) -> Iterator[str]:
        from ibc.datasets.building.build import build, summary_lines  # noqa: PLC0415 - Pillow; --help needs none

        manifest = build(plan(chosen), chosen)
        yield from summary_lines(Path(chosen.destination), manifest)
        yield from finish(chosen, manifest)

    return DataSet(summary, f"Prepare {summary}.", example, add_all_flags, options, prepare, seed)
