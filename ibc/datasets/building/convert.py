"""Convert many images over all cores.

Worker processes read their images from the source themselves. Only the members of compressed tars are read here, in
file order, and handed over. Outcomes come back in batches, in any order.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

from ibc.data.limits import SETTING, most_image_bytes
from ibc.datasets.building.archive import Member, read_member, stream_members
from ibc.datasets.building.image import PreparedImage, Recipe, Unusable, estimate_bytes, prepare_image
from ibc.files import errors_name
from ibc.process_pool import in_batches, run_batches
from ibc.progress import Progress

_BATCH = 16  # images a task: enough to hide the cost of passing it
_BLOCK = 4096  # bytes a file system gives out at once
_SAMPLE = 32

Task = tuple[str, Member, bytes | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an image.

    stem, extension: of its name under ``images/``. how: "converted", "kept" or "linked"; or "skipped", for a
    ``reason``. bytes: size of the stored file. notes: what had to be handled, as in ``PreparedImage``.
    """

    stem: str
    extension: str
    how: str
    bytes: int
    notes: tuple[str, ...] = ()
    reason: str = ""


def convert_all(members: Mapping[str, Member], images: Path, scratch: Path, recipe: Recipe, link: bool, workers: int,
                what: str, already: int = 0) -> Iterator[list[Outcome]]:
    """Store every member under ``images/<stem>``; yields the outcomes batch by batch.

    scratch: folder on the same disk where files are written before they are moved to their names. link: store symbolic
    links where the original needs no repair. what, already: the title of the progress bar, and where it starts.
    """
    job = _ConversionJob(os.fspath(images), os.fspath(scratch), recipe, link)
    batches = in_batches(_tasks(members), _BATCH)
    with Progress(already + len(members), what, initial=already) as bar:
        skipped = 0
        for outcomes in run_batches(job, batches, min(workers, max(1, len(members) // _BATCH))):
            skipped += sum(bool(item.reason) for item in outcomes)
            bar.update(len(outcomes), f"{skipped} skipped" if skipped else "")
            yield outcomes


def sample_bytes(members: Mapping[str, Member], recipe: Recipe, link: bool) -> float:
    """Mean bytes on disk of an image, by an evenly spread sample converted in memory; a guess where none can be."""
    stems = [stem for stem in members if members[stem].kind != "stream"]
    sizes = []
    for stem in stems[:: max(1, len(stems) // _SAMPLE)]:
        if members[stem].size > most_image_bytes():
            continue
        with contextlib.suppress(Unusable, OSError):
            size, kept = estimate_bytes(read_member(members[stem]), recipe)
            sizes.append(0 if kept and link else _on_disk(size))
    if sizes:
        return sum(sizes) / len(sizes)
    guess = int(40_000 * (recipe.size / 256) ** 2)  # a photograph of 256 x 341 at quality 95
    return sum(_on_disk(min(member.size, guess)) for member in members.values()) / max(len(members), 1)


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _tasks(members: Mapping[str, Member]) -> Iterator[Task]:
    """First the members that workers can read, in the order of the archive, so that disks read forwards; then those of
    compressed tars, with their content."""
    direct = [(stem, member) for stem, member in members.items()
              if member.kind != "stream" or member.size > most_image_bytes()]
    direct.sort(key=lambda pair: (pair[1].container if pair[1].kind != "file" else "", pair[1].offset))
    for stem, member in direct:
        yield stem, member, None
    streamed = [(stem, member) for stem, member in members.items()
                if member.kind == "stream" and member.size <= most_image_bytes()]
    streamed.sort(key=lambda pair: (pair[1].container, pair[1].inner))
    for (container, inner), group in groupby(streamed, key=lambda pair: (pair[1].container, pair[1].inner)):
        stems: dict[str, list[tuple[str, Member]]] = {}
        for stem, member in group:
            stems.setdefault(member.entry, []).append((stem, member))
        for entry, data in stream_members(container, inner, stems):
            for stem, member in stems[entry]:
                yield stem, member, data


@dataclass(frozen=True)
class _ConversionJob:
    """Converts and stores a batch of images, in a worker process or here."""

    images: str
    scratch: str
    recipe: Recipe
    link: bool

    def __call__(self, batch: list[Task]) -> list[Outcome]:
        return [self._one(stem, member, data) for stem, member, data in batch]

    def _one(self, stem: str, member: Member, data: bytes | None) -> Outcome:
        try:
            if member.size > most_image_bytes():
                raise Unusable(f"a file of {member.size / 1e6:.0f} MB, more than {SETTING} allows")
            if data is None:
                data = read_member(member)
            image = prepare_image(data, self.recipe, PurePosixPath(member.name).suffix)
        except Unusable as error:
            return Outcome(stem, "", "skipped", 0, reason=str(error))
        except OSError as error:
            return Outcome(stem, "", "skipped", 0, reason=f"not readable: {error.strerror or error}")
        return self._store(stem, member, data, image)

    def _store(self, stem: str, member: Member, original: bytes, image: PreparedImage) -> Outcome:
        target = Path(self.images, f"{stem}{image.extension}")
        aside = Path(self.scratch, f"{os.getpid()}")
        with errors_name(target, aside):
            target.parent.mkdir(parents=True, exist_ok=True)
            if image.data is None and self.link:
                aside.unlink(missing_ok=True)
                aside.symlink_to(os.path.abspath(member.container))
                how, size = "linked", len(original)
            else:
                data = original if image.data is None else image.data
                aside.write_bytes(data)
                how, size = ("kept" if image.data is None else "converted"), len(data)
            os.replace(aside, target)
        return Outcome(stem, image.extension, how, size, image.notes)
