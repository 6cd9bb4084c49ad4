"""The options that all sets of images share, and their flags."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field

from ibc.cores import usable_cores
from ibc.errors import input_error


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """How a set of images is built. The options of a set of images inherit these.

    destination: folder to write. size: shorter side of stored images in pixels; smaller images are kept as they are.
    quality: 1 to 100, of the JPEGs that are written. link: store a symbolic link where the original needs no repair.
    lists_only: write lists and manifest, and read no image. workers: processes that convert images.
    """

    destination: str
    size: int = 256
    quality: int = 95
    link: bool = False
    lists_only: bool = False
    workers: int = field(default_factory=usable_cores)


def add_build_flags(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every field of ``BuildOptions`` but the destination."""
    parser.add_argument("--size", type=_positive, default=BuildOptions.size, metavar="PX",
                        help="shorter side of stored images; smaller ones are kept as they are "
                        f"(default: {BuildOptions.size})")
    parser.add_argument("--quality", type=int, default=BuildOptions.quality, choices=range(1, 101), metavar="Q",
                        help=f"JPEG quality of resized images (default: {BuildOptions.quality})")
    parser.add_argument("--link", action="store_true",
                        help="link to the originals (of a folder) and let the loader resize: set resize: always")
    parser.add_argument("--lists_only", action="store_true", help="write lists and manifest, read no image")
    parser.add_argument("--workers", type=_positive, default=usable_cores(), metavar="N",
                        help="processes (default: one a core)")


def add_sources_flag(parser: argparse.ArgumentParser) -> None:
    """Add ``--source`` for data sets that are published in several archives: a list of paths."""
    parser.add_argument("--source", metavar="PATH", action="append", default=[],
                        help="a published archive, or a folder of such or of their content; repeat for each")


def require_sources(sources: Sequence[str], data_set: str) -> None:
    """Raise InputError where ``--source`` was not given."""
    if not sources:
        raise input_error("--source", "nothing", "where the originals are", f"see prepare {data_set} --help")


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"found {value}, expected a number from 1")
    return value
