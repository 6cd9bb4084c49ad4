"""Thumbnails in sprite sheets: a few JPEG files that hold many small squares each.

Image files flow in; sheets flow out, and where the thumbnail of each image is. A sheet has at most 2,048 pixels a side,
which every browser and graphics chip can show. Its name says what it was made from. So a second run makes only the
sheets whose images have changed, and never writes over one that an earlier page shows.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ibc.data.decode import decode_image
from ibc.data.image_bytes import image_bytes
from ibc.data.zip_folder import open_zip_folder, split
from ibc.errors import InputError, input_error
from ibc.files import atomic_write
from ibc.foreign_names import is_plain_name
from ibc.process_pool import run_batches
from ibc.progress import Progress

SHEET_SIDE = 2048     # pixels; beyond it some devices show nothing
QUALITY = 80          # of the JPEG
SMALLEST, LARGEST = 16, 512  # pixels a side of a thumbnail
BACKGROUND = 128      # grey, where there is no thumbnail
STATE = "sheets.json"  # in the folder of the sheets: those that are finished
NOT_THERE = (-1, -1)  # size and time of a missing file
VERSION = 1           # of how sheets are drawn; another one makes them anew


@dataclass(frozen=True)
class Sheets:
    """Thumbnails of N images.

    size: pixels a side of a square cell. columns, rows: cells of a sheet. files: names of the sheets. places: (N,)
    int32, the cell of each image, counted row by row over all sheets; -1 without a thumbnail. unreadable: one line for
    each image that could not be read. chosen: images that should have one. made: sheets that no earlier run had made.
    """

    size: int
    columns: int
    rows: int
    files: list[str]
    places: np.ndarray
    unreadable: list[str]
    chosen: int
    made: int


@dataclass(frozen=True)
class _SheetJob:
    """One sheet: its number, the files of its cells in order, and what it depends on."""

    number: int
    files: list[str]
    key: str

    @property
    def name(self) -> str:
        """File name of the sheet."""
        return f"sheet-{self.number:04d}-{self.key[:12]}.jpg"


def spread_sample(count: int, shown: int, wanted: Sequence[int] | np.ndarray = ()) -> np.ndarray:
    """``shown`` of ``count`` items, ascending int64: ``wanted`` and others evenly spread; all where there are fewer.

    At most half of them are wanted ones, the first of ``wanted``.
    """
    if shown >= count:
        return np.arange(count)
    chosen = np.zeros(count, bool)
    chosen[np.array(list(dict.fromkeys(int(item) for item in wanted))[: shown // 2], np.int64)] = True
    others = np.flatnonzero(~chosen)
    more = shown - int(chosen.sum())
    chosen[others[np.arange(more) * len(others) // max(more, 1)]] = True
    return np.flatnonzero(chosen)


def write_sheets(folder: Path, files: Sequence[str], size: int, chosen: np.ndarray, workers: int) -> Sheets:
    """Write the sheets of the images ``chosen`` (ascending places in ``files``) to ``folder``, beside older ones.

    files: what to open, one an image; ``pack.zip:member`` is taken too. size: pixels a side of a thumbnail: the middle
    square of the image. workers: processes. Raises InputError where not one of the images can be read.
    """
    side = SHEET_SIDE // size
    if all(_stamp(files[place]) == NOT_THERE for place in chosen):
        raise _no_image(len(chosen), f"{files[chosen[0]]}: no such file")
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [_job(number, [files[place] for place in chosen[begin : begin + side * side]], size)
            for number, begin in enumerate(range(0, len(chosen), side * side))]
    bad = {name: failed for name, failed in _read_state(folder).items()
           if is_plain_name(name) and (folder / name).is_file()}
    missing = [job for job in jobs if job.name not in bad]
    if missing:
        with Progress(len(chosen), "thumbnails",
                      initial=len(chosen) - sum(len(job.files) for job in missing)) as bar:
            draw = _SheetDrawer(folder, size, side)
            for job, failed in run_batches(draw, iter([job] for job in missing), min(workers, len(missing))):
                bad[job.name] = failed
                _write_state(folder, bad)
                bar.update(len(job.files))
    places = np.full(len(files), -1, np.int32)
    places[chosen] = np.arange(len(chosen))
    unreadable = []
    for job in jobs:
        for cell, message in bad[job.name]:
            places[chosen[job.number * side * side + cell]] = -1
            unreadable.append(message)
    if len(unreadable) == len(chosen):
        raise _no_image(len(chosen), unreadable[0])
    return Sheets(size, side, side, [job.name for job in jobs], places, unreadable, len(chosen), len(missing))


def _no_image(count: int, first: str) -> InputError:
    return input_error("--images", f"none of {count} images that can be read ({first})",
                       "the folder that the paths of the codes file start from",
                       "give the folder in which the images are now")


def remove_old_sheets(folder: Path, sheets: Sheets) -> None:
    """Delete the sheets of earlier pages, once the page that shows ``sheets`` is written."""
    for old in set(folder.glob("sheet-*.jpg")) - {folder / name for name in sheets.files}:
        old.unlink()
    _write_state(folder, {name: failed for name, failed in _read_state(folder).items() if name in sheets.files})


def _job(number: int, files: list[str], size: int) -> _SheetJob:
    state = [(file, *_stamp(file)) for file in files]
    text = json.dumps([VERSION, SHEET_SIDE, QUALITY, size, state])
    return _SheetJob(number, files, hashlib.sha256(text.encode()).hexdigest())


def _stamp(file: str) -> tuple[int, int]:
    """Size and time of a file, or of the zip that it is in; ``NOT_THERE`` without it."""
    found = split(file)
    if found:
        member = open_zip_folder(found[0]).members.get(found[1])
        return NOT_THERE if member is None else (member.size, member.crc)
    try:
        status = os.stat(file)
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        return NOT_THERE
    return status.st_size, status.st_mtime_ns


def _read_state(folder: Path) -> dict[str, list[tuple[int, str]]]:
    """Name of a sheet -> (cell, message) of each image that could not be read; empty where the file is damaged."""
    try:
        content = json.loads((folder / STATE).read_text(encoding="utf-8"))
        return {name: [(int(cell), str(message)) for cell, message in failed] for name, failed in content.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return {}


def _write_state(folder: Path, state: dict[str, list[tuple[int, str]]]) -> None:
    with atomic_write(folder / STATE, "w") as handle:
        handle.write(json.dumps(state) + "\n")


class _SheetDrawer:
    """Draws a sheet and writes it, in a worker process: [job] -> (job, [[cell, message] of each unreadable image])."""

    def __init__(self, folder: Path, size: int, side: int):
        self.folder, self.size, self.side = folder, size, side

    def __call__(self, batch: list[_SheetJob]) -> tuple[_SheetJob, list[tuple[int, str]]]:
        (job,) = batch
        rows = -(-len(job.files) // self.side)
        sheet = np.full((rows * self.size, self.side * self.size, 3), BACKGROUND, np.uint8)
        failed = []
        for cell, file in enumerate(job.files):
            try:
                image = thumbnail(file, self.size)
            except InputError as error:
                failed.append((cell, str(error)))
                continue
            top, left = cell // self.side * self.size, cell % self.side * self.size
            sheet[top : top + self.size, left : left + self.size] = image
        with atomic_write(self.folder / job.name) as handle:
            handle.write(image_bytes(Image.fromarray(sheet), "JPEG", quality=QUALITY))
        return job, failed


def thumbnail(file: str, size: int) -> np.ndarray:
    """(size, size, 3) uint8: the middle square of an image. Raises InputError where it cannot be read."""
    try:
        pixels = decode_image(file)
    except ValueError as error:  # a zero byte in the name
        raise error if isinstance(error, InputError) else InputError(f"{file}: {error}") from None
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0))
