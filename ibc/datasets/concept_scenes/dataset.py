"""Writes a data set of concept scenes: pictures over all cores, list files, Broden folder, manifest.

Picture i of a split is drawn from (seed, split, i) alone, so the result depends neither on the number of processes
nor on interruptions. Finished pictures are noted in ``.unfinished/``, which a later run continues from and the last
one removes; the manifest is written last and says that the folder is complete.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ibc.cores import usable_cores
from ibc.data.list_file import write_list
from ibc.datasets.concept_scenes.broden import write_maps, write_tables
from ibc.datasets.concept_scenes.drawing import Picture, draw
from ibc.datasets.concept_scenes.overview import overview
from ibc.datasets.concept_scenes.vocabulary import CLASSES, Composition, attribute_names, class_names
from ibc.errors import input_error
from ibc.files import atomic_write, sha256
from ibc.json_report import versions
from ibc.process_pool import in_batches, run_batches
from ibc.progress import Progress

SPLITS = ("train", "test", "broden")
DRAWING = 1  # raise it when the same seed gives other pictures, so that old and new ones are not mixed
_JPEG_QUALITY = 90
_STATE = ".unfinished"
_BATCH = 24  # pictures a task
_LIMITS = {"train": (1, 999_999), "test": (1, 999_999), "broden": (0, 999_999), "size": (64, 1024),
           "seed": (0, 2**63 - 1)}
_RULE = ("picture i of a split shows class i mod the number of classes; an attribute is 1 where the picture visibly "
         "shows the concept")


@dataclass(frozen=True)
class Settings:
    """train, test, broden: pictures for training, for testing, and with masks. size: their side in pixels."""

    train: int = 3600
    test: int = 720
    broden: int = 240
    size: int = 160
    seed: int = 0

    def check(self) -> None:
        """Raise InputError for a value that cannot be drawn."""
        for name, (low, high) in _LIMITS.items():
            if not low <= getattr(self, name) <= high:
                raise input_error(f"--{name}", str(getattr(self, name)), f"a number from {low} to {high}")


class Task(NamedTuple):
    """A picture of the data set: the ``number``-th of its split, from 0."""

    split: str
    number: int


class Record(NamedTuple):
    """What the lists and tables need of a finished picture; labels: Broden number -> pixels (split broden only)."""

    split: str
    number: int
    attributes: list[int]
    labels: dict[int, int]


def composition_of(task: Task) -> Composition:
    return CLASSES[task.number % len(CLASSES)]


def picture_of(settings: Settings, task: Task) -> Picture:
    """Draw one picture of the data set."""
    rng = np.random.default_rng([settings.seed, SPLITS.index(task.split), task.number])
    return draw(composition_of(task), rng, settings.size)


def generate(folder: str | os.PathLike, settings: Settings, workers: int | None = None) -> dict[str, Any]:
    """Write the data set into ``folder`` and return its manifest; a folder that is complete is left as it is.

    workers: processes, by default one a core; the files do not depend on it. Raises InputError for settings out of
    range, and for a folder that holds other pictures.
    """
    settings.check()
    folder = Path(folder)
    if (manifest := _finished(folder, settings)) is not None:
        return manifest
    records = _draw_all(folder, settings, workers or usable_cores())
    lists = {}
    for split in ("train", "test"):
        name = f"{split}.txt"
        own = [Task(split, number) for number in range(getattr(settings, split))]
        write_list(folder / name, [_image_name(task) for task in own],
                   [[task.number % len(CLASSES), *records[task].attributes] for task in own])
        lists[name] = {"images": len(own), "sha256": sha256(folder / name)}
    if settings.broden:
        own = [Task("broden", number) for number in range(settings.broden)]
        write_tables(folder / "broden", {_stem(task): records[task].labels for task in own}, settings.size)
    _write_text(folder / "classes.txt", "".join(f"{name}\n" for name in class_names()))
    _write_text(folder / "attributes.txt", "".join(f"{name}\n" for name in attribute_names()))
    with atomic_write(folder / "overview.jpg") as handle:
        overview([picture_of(settings, Task("train", number)).pixels for number in range(len(CLASSES))],
                 class_names()).save(handle, "JPEG", quality=_JPEG_QUALITY)
    manifest = _manifest(folder, settings, lists)
    _write_text(folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    shutil.rmtree(folder / _STATE)
    return manifest


def is_finished(folder: str | os.PathLike, settings: Settings) -> bool:
    """Whether ``generate`` would find nothing to do. Raises InputError for a folder that holds other pictures."""
    return _finished(Path(folder), settings) is not None


@dataclass(frozen=True)
class _Job:
    """Draws and stores a batch of pictures; runs in the worker processes."""

    folder: str
    settings: Settings

    def __call__(self, tasks: list[Task]) -> list[Record]:
        return [self._store(task) for task in tasks]

    def _store(self, task: Task) -> Record:
        picture = picture_of(self.settings, task)
        path = Path(self.folder, _image_name(task))
        Image.fromarray(picture.pixels).save(path, quality=_JPEG_QUALITY)
        labels = {}
        if task.split == "broden":
            labels = write_maps(path.parent, _stem(task), picture, composition_of(task).scene)
        return Record(*task, picture.attributes.astype(int).tolist(), labels)


def _draw_all(folder: Path, settings: Settings, workers: int) -> dict[Task, Record]:
    """Draw what an earlier run has not; returns the records of all pictures."""
    tasks = [Task(split, number) for split in SPLITS for number in range(getattr(settings, split))]
    records = {task: record for task, record in _read_journal(folder) if (folder / _image_name(task)).exists()}
    missing = [task for task in tasks if task not in records]
    _write_text(folder / _STATE / "settings.json", json.dumps(_identity(settings)))
    for task in {task.split: task for task in tasks}.values():
        (folder / _image_name(task)).parent.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    with (open(folder / _STATE / "done.jsonl", "a", encoding="utf-8") as journal,
          Progress(len(tasks), "concept scenes", "pictures", initial=len(tasks) - len(missing)) as bar):
        job = _Job(os.fspath(folder), settings)
        for batch in run_batches(job, in_batches(missing, _BATCH), min(workers, len(missing) // _BATCH)):
            journal.writelines(json.dumps(record) + "\n" for record in batch)
            journal.flush()
            records |= {Task(record.split, record.number): record for record in batch}
            bar.update(len(batch))
    return records


def _read_journal(folder: Path) -> Iterator[tuple[Task, Record]]:
    journal = folder / _STATE / "done.jsonl"
    if not journal.exists():
        return
    for line in journal.read_text(encoding="utf-8").splitlines():
        try:
            split, number, attributes, labels = json.loads(line)
        except ValueError:
            continue  # the last line of an interrupted run
        yield Task(split, number), Record(split, number, attributes, {int(key): labels[key] for key in labels})


def _finished(folder: Path, settings: Settings) -> dict[str, Any] | None:
    """The manifest of a complete folder, None where there is something to do; refuses a folder of another kind."""
    for file in (folder / "manifest.json", folder / _STATE / "settings.json"):
        if not file.exists():
            continue
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            before = found.get("settings", found)
        except (ValueError, AttributeError):
            raise input_error(file, "something else", "what this command wrote", "choose another folder") from None
        for name, value in _identity(settings).items():
            if before.get(name) != value:
                raise input_error(folder, f"pictures made with {name} {before.get(name)}", f"{name} {value}",
                                  "use the same settings, or another folder")
        if file.name != "manifest.json":
            return None
        complete = (_count_files(folder) == found["images"]["files"]
                    and all((folder / name).exists() and sha256(folder / name) == facts["sha256"]
                            for name, facts in found["lists"].items()))
        return found if complete else None
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise input_error(folder, "files that this command did not make", "a new or an empty folder",
                          "choose another destination")
    return None


def _identity(settings: Settings) -> dict[str, int]:
    """What decides on every file of the folder."""
    return {**asdict(settings), "drawing": DRAWING}


def _manifest(folder: Path, settings: Settings, lists: dict[str, Any]) -> dict[str, Any]:
    """The keys of the manifests of ``ibc.datasets.prepare``, and the settings."""
    return {
        "data_set": "concept scenes",
        "source": "drawn from the seed by python -m ibc.data.concept_scenes",
        "rule": _RULE,
        "seed": settings.seed,
        "settings": _identity(settings),
        "class_num": len(CLASSES),
        "classes": class_names(),
        "attributes": attribute_names(),
        "lists": lists,
        "images": {
            "count": settings.train + settings.test + settings.broden,
            **{split: getattr(settings, split) for split in SPLITS},
            "files": _count_files(folder),
            "shorter_side": settings.size,
            "jpeg_quality": _JPEG_QUALITY,
        },
        "versions": {name: version for name, version in versions().items()
                     if name in ("ibc", "python", "numpy", "pillow")},
    }


def _count_files(folder: Path) -> int:
    """Pictures and label maps."""
    return sum(len(files) for part in ("images", "broden") for _, _, files in os.walk(folder / part))


def _image_name(task: Task) -> str:
    folder = "broden/images" if task.split == "broden" else f"images/{task.split}"
    return f"{folder}/{_stem(task)}.jpg"


def _stem(task: Task) -> str:
    return f"{task.number:06d}"


def _write_text(path: Path, text: str) -> None:
    with atomic_write(path, "w") as handle:
        handle.write(text)
