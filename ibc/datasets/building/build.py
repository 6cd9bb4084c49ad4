"""Carry out a plan: convert the images over all cores, then write lists, skipped.csv, manifest.json and the data card.

Every finished image is noted in ``.prepare/done.csv`` of the destination, so that a second run does only what is
missing. An image appears under its name complete or not at all. The lists name only images that exist; an image that
cannot be used is in ``skipped.csv`` with the reason.
"""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from ibc.cards import write_data_card
from ibc.csv_writer import CsvWriter, safe_path
from ibc.data.list_file import write_list
from ibc.datasets.building.archive import Member
from ibc.datasets.building.convert import Outcome, convert_all, sample_bytes
from ibc.datasets.building.image import Recipe
from ibc.datasets.building.options import BuildOptions
from ibc.datasets.building.plan import PreparationPlan
from ibc.errors import InputError, input_error
from ibc.files import atomic_write, errors_name, only_writer, sha256
from ibc.foreign_names import inside, leads_out
from ibc.json_report import read_json, versions
from ibc.screen import show
from ibc.text_files import printable

STATE = ".prepare"  # folder of the destination that holds what a later run needs
_HEADROOM = 1.1


def build(plan: PreparationPlan, options: BuildOptions) -> dict[str, Any]:
    """Write the data set; returns its manifest.

    Raises InputError where the folder holds images of other settings or other files, where the disk is too full, and
    where no image of a list can be used.
    """
    for named in (*plan.images, *plan.lists):
        inside(named, Path(options.destination), "the destination")
    if options.link and (packed := next((item for item in plan.images.values() if item.kind != "file"), None)):
        raise input_error(packed.container, "an archive with --link", "images in a folder", "unpack it first")
    with only_writer(options.destination):
        return _build(plan, options, Path(options.destination))


def _build(plan: PreparationPlan, options: BuildOptions, folder: Path) -> dict[str, Any]:
    if not options.lists_only:
        _check_settings(folder, plan, options)
    done = _read_done(folder, plan, options.lists_only)
    if not options.lists_only:
        _convert(folder, plan, options, done)
    skipped = list(plan.skipped) + [(plan.images[stem].name, item.reason) for stem, item in done.items() if item.reason]
    _write_skipped(folder, skipped)
    lists = {}
    for file, rows in plan.lists.items():
        usable = [(name, row) for stem, row in rows if (name := _stored_name(stem, done, options))]
        if rows and not usable:
            raise input_error(folder / "skipped.csv", f"none of the {len(rows)} images of {file} usable",
                              "at least one", "see the reasons there")
        if not usable:
            continue  # a split that was not asked for
        write_list(folder / file, [name for name, _ in usable], [row for _, row in usable])
        lists[file] = {"images": len(usable), "sha256": sha256(folder / file)}
    if plan.classes:
        _write_lines(folder / "classes.txt", plan.classes)
    if plan.attributes:
        _write_lines(folder / "attributes.txt", plan.attributes)
    plan.notes += _lost_classes(plan, done)
    manifest = _manifest(plan, options, lists, done, skipped)
    # A byte that is not UTF-8 is a surrogate in a name; backslashreplace writes it as JSON does: \udcfc.
    with atomic_write(folder / "manifest.json", "w", errors="backslashreplace") as handle:
        handle.write(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    write_data_card(folder, manifest)
    for path in plan.temporary:
        path.unlink(missing_ok=True)
    return manifest


def _lost_classes(plan: PreparationPlan, done: dict[str, Outcome]) -> Iterator[str]:
    """A note of the classes whose images all turned out to be unusable; their ids are kept."""
    if not any(item.reason for item in done.values()) or "class_weights" in plan.facts:
        return  # nothing lost; or the rows are label vectors
    named, left = set(), set()
    for rows in plan.lists.values():
        for stem, row in rows:
            named.add(row[0])
            if (item := done.get(stem)) and not item.reason:
                left.add(row[0])
    lost = [plan.classes[number] for number in sorted(named - left) if number < len(plan.classes)]
    if lost:
        yield f"{len(lost)} classes without a usable image, such as '{printable(lost[0])}'; they keep their ids"


def _convert(folder: Path, plan: PreparationPlan, options: BuildOptions, done: dict[str, Outcome]) -> None:
    missing = {stem: member for stem, member in plan.images.items() if stem not in done}
    if not missing:
        return
    _check_space(folder, plan, options, missing)
    scratch = folder / STATE / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)  # what a killed run left half-written
    scratch.mkdir(parents=True, exist_ok=True)
    with errors_name(folder), open(folder / STATE / "done.csv", "a", newline="", encoding="utf-8",
                                   errors="surrogateescape") as journal:
        writer = csv.writer(journal)
        if journal.tell():
            journal.write("\r\n")  # a killed run may have left half a line
        try:
            for outcomes in convert_all(missing, folder / "images", scratch, _recipe(options), options.link,
                                        options.workers, plan.name, already=len(plan.images) - len(missing)):
                for item in outcomes:
                    done[item.stem] = item
                    if not item.reason:
                        writer.writerow([item.stem, _identity(plan.images[item.stem]), item.extension, item.how,
                                         item.bytes, *item.notes])
                journal.flush()
        except KeyboardInterrupt:
            show("what is done is kept: the same command goes on from here", sys.stderr)
            raise
    shutil.rmtree(scratch, ignore_errors=True)


def _recipe(options: BuildOptions) -> Recipe:
    return Recipe(options.size, options.quality, keep_large=options.link)


def _read_done(folder: Path, plan: PreparationPlan, lists_only: bool) -> dict[str, Outcome]:
    """Stem -> outcome of the images that an earlier run finished.

    An image counts if its file is still there, and its source is still the same by size and stamp; a row of an earlier
    version holds the size alone. The stored file of an image whose source changed is deleted.
    """
    journal = folder / STATE / "done.csv"
    done: dict[str, Outcome] = {}
    changed: dict[str, str] = {}
    if not journal.exists():
        return done
    with open(journal, newline="", encoding="utf-8", errors="surrogateescape") as handle:
        for row in _readable_rows(handle):
            try:
                stem, identity, extension, how, stored, *notes = row
                item = Outcome(stem, extension, how, int(stored), tuple(notes))
                member = plan.images.get(stem)
                same = identity in (_identity(member), str(member.size)) if member else lists_only
            except ValueError:
                continue  # the last line of an interrupted run
            if leads_out(f"{stem}{extension}"):
                continue
            present = _file_size(folder / "images" / f"{stem}{extension}") == item.bytes
            if same and present:
                done[stem] = item
                changed.pop(stem, None)
            elif present and member and not lists_only:
                done.pop(stem, None)
                changed[stem] = extension
    for stem, extension in changed.items():
        (folder / "images" / f"{stem}{extension}").unlink()
    if changed:
        plan.notes.append(f"{len(changed)} images changed in the source since the last run, and were made again")
    return done


def _readable_rows(handle: TextIO) -> Iterator[list[str]]:
    """The rows of a journal up to one that no run wrote; what is beyond is made again."""
    with contextlib.suppress(csv.Error):
        yield from csv.reader(handle)


def _identity(member: Member) -> str:
    """What tells the content of a source's file from one that replaced it."""
    return f"{member.size}:{member.stamp}"


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        return -1


def _check_settings(folder: Path, plan: PreparationPlan, options: BuildOptions) -> None:
    """Raise InputError where images of two data sets or of two settings would mix in one folder."""
    settings = {"data set": plan.name, "--size": options.size, "--quality": options.quality,
                "--link": options.link}
    file = folder / STATE / "settings.json"
    if file.exists():
        try:
            before = read_json(file, "the settings of an earlier run")
        except InputError:
            before = {}
        before = before if isinstance(before, dict) else {}
        for key, value in settings.items():
            if before.get(key, value) != value:
                raise input_error(folder, f"images made with {key} {before[key]}", f"{key} {value}",
                                  "use the same settings, or another folder")
    elif (folder / "images").exists() and any((folder / "images").iterdir()):
        raise input_error(folder / "images", "files that no earlier run of this command made", "a new folder",
                          "choose another destination")
    else:
        with atomic_write(file, "w") as handle:
            json.dump(settings, handle, indent=1)


def _check_space(folder: Path, plan: PreparationPlan, options: BuildOptions, missing: dict[str, Any]) -> None:
    """Print how much disk the images will take, by a sample converted in memory; raise InputError if it is too much."""
    each = sample_bytes(missing, _recipe(options), options.link)
    needed = int(each * len(missing) * _HEADROOM)
    free = shutil.disk_usage(folder).free
    show(f"{plan.name}: {len(missing)} images to prepare, about {needed / 1e9:.2f} GB; {free / 1e9:.1f} GB free")
    if needed > free:
        raise input_error(folder, f"{free / 1e9:.2f} GB free", f"about {needed / 1e9:.2f} GB",
                          "free some space, choose another disk, or use --link or a smaller --size")


def _stored_name(stem: str, done: dict[str, Outcome], options: BuildOptions) -> str | None:
    """The name that a list gives an image; None for one that cannot be used."""
    item = done.get(stem)
    if item is None:  # only with lists_only: the name the image will get
        return f"images/{stem}.jpg" if options.lists_only else None
    return None if item.reason else f"images/{stem}{item.extension}"


def _write_skipped(folder: Path, skipped: list[tuple[str, str]]) -> None:
    with atomic_write(folder / "skipped.csv", "w") as handle:
        writer = CsvWriter(handle)
        writer.row(["image", "reason"])
        writer.rows((safe_path(printable(name)), printable(reason)) for name, reason in sorted(skipped))


def _write_lines(path: Path, lines: list[str]) -> None:
    with atomic_write(path, "w") as handle:
        handle.writelines(f"{printable(line)}\n" for line in lines)


def _manifest(plan: PreparationPlan, options: BuildOptions, lists: dict[str, Any], done: dict[str, Outcome],
              skipped: list[tuple[str, str]]) -> dict[str, Any]:
    used = [item for item in done.values() if not item.reason]
    notes = Counter(note for item in used for note in item.notes)
    return {
        "data_set": plan.name,
        "rule": plan.rule,
        "seed": plan.seed,
        "class_num": len(plan.classes),
        "classes": plan.classes,
        "attributes": plan.attributes,
        "lists": lists,
        "images": {
            "count": len(used),
            "bytes": sum(item.bytes for item in used if item.how != "linked"),
            "shorter_side": options.size,
            "jpeg_quality": options.quality,
            **{how: sum(item.how == how for item in used) for how in ("converted", "kept", "linked")},
            "handled": dict(sorted(notes.items())),
            "skipped": len(skipped),
        },
        **plan.facts,
        "notes": plan.notes,
        "versions": {name: version for name, version in versions().items() if name in ("ibc", "python", "pillow")},
    }


def summary_lines(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    """What was made, as lines for people."""
    images = manifest["images"]
    if images["count"]:
        yield (f"{manifest['data_set']}: {images['count']} images, {images['bytes'] / 1e6:.0f} MB in {folder} "
               f"({images['converted']} converted, {images['kept']} kept as they were, {images['linked']} linked)")
    else:
        yield f"{manifest['data_set']}: lists in {folder}, no image read"
    for file, facts in manifest["lists"].items():
        yield f"  {file}: {facts['images']} images"
    if images["handled"]:
        yield "  handled: " + ", ".join(f"{count} {note}" for note, count in images["handled"].items())
    if images["skipped"]:
        yield f"  skipped: {images['skipped']} images, see {folder / 'skipped.csv'}"
    for note in manifest["notes"]:
        yield f"  note: {note}"
