"""Writes a data set of concept scenes: images over all cores, list files, Broden folder, manifest.

Image i of a split is drawn from (seed, split, i) alone, so the files depend neither on the number of processes nor on
interruptions. Finished images are noted in ``.unfinished/``: a later run goes on from there, and removes it at the end.
The manifest is written last, and says that the folder is complete.
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

from ibc.cards import write_data_card
from ibc.cores import usable_cores
from ibc.data.image_bytes import image_bytes
from ibc.data.list_file import write_list
from ibc.datasets.concept_scenes.broden import write_maps, write_tables
from ibc.datasets.concept_scenes.drawing import SceneImage, draw
from ibc.datasets.concept_scenes.overview import overview
from ibc.datasets.concept_scenes.settings import SceneSettings
from ibc.datasets.concept_scenes.vocabulary import CLASSES, Composition, attribute_names, class_names
from ibc.errors import input_error
from ibc.files import atomic_write, errors_name, only_writer, sha256
from ibc.json_report import read_json, versions
from ibc.process_pool import in_batches, run_batches
from ibc.progress import Progress

SPLITS = ("train", "test", "broden")
DRAWING = 1  # raise it when the same seed gives other images, so that old and new ones are not mixed
_JPEG_QUALITY = 90
_STATE = ".unfinished"
_BATCH = 24  # images a task
_RULE = ("picture i of a split shows class i mod the number of classes; an attribute is 1 where the picture visibly "
         "shows the concept")


class SceneTask(NamedTuple):
    """An image of the data set: number ``number`` of its split, from 0."""

    split: str
    number: int


class SceneRecord(NamedTuple):
    """What the lists and tables need of a finished image.

    attributes: 0 or 1 for each concept. labels: label number in Broden -> pixels; only for the split "broden".
    """

    split: str
    number: int
    attributes: list[int]
    labels: dict[int, int]


def composition_of(task: SceneTask) -> Composition:
    """The class of an image: classes take turns, so that each has its share of every split."""
    return CLASSES[task.number % len(CLASSES)]


def draw_image(settings: SceneSettings, task: SceneTask) -> SceneImage:
    """Draw one image of the data set."""
    rng = np.random.default_rng([settings.seed, SPLITS.index(task.split), task.number])
    return draw(composition_of(task), rng, settings.size)


def generate(folder: str | os.PathLike, settings: SceneSettings, workers: int | None = None) -> dict[str, Any]:
    """Write the data set into ``folder`` and return its manifest; a folder that is complete is left as it is.

    workers: processes, by default one a core; the files do not depend on it. Raises InputError for settings out of
    range, and for a folder that holds other images.
    """
    settings.check()
    folder = Path(folder)
    if (manifest := _finished(folder, settings)) is not None:
        return manifest
    with only_writer(folder):
        return _generate(folder, settings, workers or usable_cores())


def _generate(folder: Path, settings: SceneSettings, workers: int) -> dict[str, Any]:
    records = _draw_all(folder, settings, workers)
    lists = {}
    for split in ("train", "test"):
        name = f"{split}.txt"
        own = [SceneTask(split, number) for number in range(getattr(settings, split))]
        write_list(folder / name, [_image_name(task) for task in own],
                   [[task.number % len(CLASSES), *records[task].attributes] for task in own])
        lists[name] = {"images": len(own), "sha256": sha256(folder / name)}
    if settings.broden:
        own = [SceneTask("broden", number) for number in range(settings.broden)]
        write_tables(folder / "broden", {_stem(task): records[task].labels for task in own}, settings.size)
    _write_text(folder / "classes.txt", "".join(f"{name}\n" for name in class_names()))
    _write_text(folder / "attributes.txt", "".join(f"{name}\n" for name in attribute_names()))
    with atomic_write(folder / "overview.jpg") as handle:
        sheet = overview([draw_image(settings, SceneTask("train", number)).pixels for number in range(len(CLASSES))],
                         class_names())
        handle.write(image_bytes(sheet, "JPEG", quality=_JPEG_QUALITY))
    manifest = _manifest(folder, settings, lists)
    write_data_card(folder, manifest)
    _write_text(folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    shutil.rmtree(folder / _STATE)
    return manifest


def is_finished(folder: str | os.PathLike, settings: SceneSettings) -> bool:
    """Whether ``generate`` would find nothing to do. Raises InputError for a folder that holds other images."""
    return _finished(Path(folder), settings) is not None


@dataclass(frozen=True)
class _DrawingJob:
    """Draws and stores a batch of images, in a worker process or here."""

    folder: str
    settings: SceneSettings

    def __call__(self, tasks: list[SceneTask]) -> list[SceneRecord]:
        return [self._store(task) for task in tasks]

    def _store(self, task: SceneTask) -> SceneRecord:
        image = draw_image(self.settings, task)
        path = Path(self.folder, _image_name(task))
        labels = {}
        with errors_name(path):
            with atomic_write(path, sync=False) as handle:
                handle.write(image_bytes(Image.fromarray(image.pixels), "JPEG", quality=_JPEG_QUALITY))
            if task.split == "broden":
                labels = write_maps(path.parent, _stem(task), image, composition_of(task).scene)
        return SceneRecord(*task, image.attributes.astype(int).tolist(), labels)


def _draw_all(folder: Path, settings: SceneSettings, workers: int) -> dict[SceneTask, SceneRecord]:
    """Draw the images that an earlier run has not drawn; returns the records of all images."""
    tasks = [SceneTask(split, number) for split in SPLITS for number in range(getattr(settings, split))]
    records = {task: record for task, record in _read_journal(folder) if (folder / _image_name(task)).exists()}
    missing = [task for task in tasks if task not in records]
    _write_text(folder / _STATE / "settings.json", json.dumps(_identity(settings)))
    for task in {task.split: task for task in tasks}.values():
        (folder / _image_name(task)).parent.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    with (errors_name(folder), open(folder / _STATE / "done.jsonl", "a", encoding="utf-8") as journal,
          Progress(len(tasks), "concept scenes", "pictures", initial=len(tasks) - len(missing)) as bar):
        job = _DrawingJob(os.fspath(folder), settings)
        for batch in run_batches(job, in_batches(missing, _BATCH), min(workers, len(missing) // _BATCH)):
            journal.writelines(json.dumps(record) + "\n" for record in batch)
            journal.flush()
            records |= {SceneTask(record.split, record.number): record for record in batch}
            bar.update(len(batch))
    return records


def _read_journal(folder: Path) -> Iterator[tuple[SceneTask, SceneRecord]]:
    journal = folder / _STATE / "done.jsonl"
    if not journal.exists():
        return
    for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            split, number, attributes, labels = json.loads(line)
            record = SceneRecord(split, number, attributes, {int(key): labels[key] for key in labels})
        except (ValueError, TypeError, KeyError, RecursionError):
            continue  # the last line of an interrupted run
        yield SceneTask(split, number), record


def _finished(folder: Path, settings: SceneSettings) -> dict[str, Any] | None:
    """The manifest of a complete folder, None where there is something to do; refuses a folder of another kind."""
    for file in (folder / "manifest.json", folder / _STATE / "settings.json"):
        if not file.exists():
            continue
        found = read_json(file, "what this command wrote")
        before = found.get("settings", found) if isinstance(found, dict) else None
        if not isinstance(before, dict):
            raise input_error(file, "something else", "what this command wrote", "choose another folder")
        for name, value in _identity(settings).items():
            if before.get(name) != value:
                raise input_error(folder, f"pictures made with {name} {before.get(name)}", f"{name} {value}",
                                  "use the same settings, or another folder")
        if file.name != "manifest.json":
            return None
        try:
            complete = (_count_files(folder) == found["images"]["files"]
                        and all((folder / name).exists() and sha256(folder / name) == facts["sha256"]
                                for name, facts in found["lists"].items()))
        except (KeyError, TypeError, AttributeError, ValueError):
            raise input_error(file, "a manifest without images and lists", "what this command wrote",
                              "choose another folder") from None
        return found if complete else None
    # A disk that is full when the first file is written leaves the folder of the state alone.
    if folder.exists() and (not folder.is_dir() or any(entry.name != _STATE for entry in folder.iterdir())):
        raise input_error(folder, "files that this command did not make", "a new or an empty folder",
                          "choose another destination")
    return None


def _identity(settings: SceneSettings) -> dict[str, int]:
    """What decides on every file of the folder."""
    return {**asdict(settings), "drawing": DRAWING}


def _manifest(folder: Path, settings: SceneSettings, lists: dict[str, Any]) -> dict[str, Any]:
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
    """How many images and label maps there are."""
    return sum(len(files) for part in ("images", "broden") for _, _, files in os.walk(folder / part))


def _image_name(task: SceneTask) -> str:
    folder = "broden/images" if task.split == "broden" else f"images/{task.split}"
    return f"{folder}/{_stem(task)}.jpg"


def _stem(task: SceneTask) -> str:
    return f"{task.number:06d}"


def _write_text(path: Path, text: str) -> None:
    with atomic_write(path, "w") as handle:
        handle.write(text)
