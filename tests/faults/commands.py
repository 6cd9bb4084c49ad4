"""The commands that tests/faults disturbs, on small data, and how their results are compared."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ibc.checkpoint import list_checkpoints
from ibc.codes import CodeSet, save_codes
from tests.dissection.data import write_broden
from tests.export.small_codes import make_codes
from tests.faults.programs import leftovers, names_below
from tests.faults.zygote import Zygote
from tests.small_run import make_images, make_run, run


@dataclass
class Disturbed:
    """A command to be disturbed.

    words: of an output folder. compared: whether a file of the output is compared. same: whether two files are.
    partial: whether a file changes while the command runs. not_repeated: files that the next run leaves as they are.
    """

    words: Callable[[Path], list]
    compared: Callable[[str], bool] = lambda name: not name.startswith(("logs/", "log"))
    same: Callable[[Path, Path], bool] = lambda one, other: one.read_bytes() == other.read_bytes()
    cores: int = 2
    partial: Callable[[str], bool] = lambda name: False
    not_repeated: Callable[[Path], set[str]] = lambda folder: set()


def tensors(path: Path) -> dict:
    """All tensors of a checkpoint or an optimizer.pt, by place."""
    found: dict[str, torch.Tensor] = {}

    def walk(place: str, value: object) -> None:
        if isinstance(value, torch.Tensor):
            found[place] = value
        elif isinstance(value, dict):
            for key, item in value.items():
                walk(f"{place}.{key}", item)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                walk(f"{place}.{number}", item)

    walk("", torch.load(path, weights_only=True))
    return found


def same_file(one: Path, other: Path) -> bool:
    """Checkpoints by their tensors, other files by their bytes."""
    if one.suffix != ".pt":
        return one.read_bytes() == other.read_bytes()
    left, right = tensors(one), tensors(other)
    return list(left) == list(right) and all(torch.equal(value, right[place]) for place, value in left.items())


def training(place: Path) -> Disturbed:
    config = make_run(place, num_workers=2, snapshot_save_iter=2, log_iter=1, max_iter=16)

    def words(out: Path) -> list:
        present = list_checkpoints(out / "outputs/small/checkpoints")
        return ["train", "--config", config, "--output_path", out, *(["--resume"] if present else [])]

    def saved(out: Path) -> set[str]:
        """Checkpoints that a resumed run does not make again: all but one whose state was not written any more."""
        state = out / "outputs/small/checkpoints/optimizer.pt"
        done = torch.load(state, weights_only=True)["iteration"] if state.exists() else 0
        return {str(path) for number, path in list_checkpoints(state.parent) if number <= done}

    return Disturbed(words, lambda name: name.endswith(".pt"), same_file, cores=8,
                     partial=lambda name: name.endswith("optimizer.pt"), not_repeated=saved)


def trained(place: Path) -> tuple[Path, Path]:
    config = make_run(place, images=60)
    result = run("train.py", "--config", config, "--output_path", place, "--set", "max_iter=1")
    assert result.returncode == 0, result.stderr
    return config, place / "outputs/small"


def extraction(place: Path) -> Disturbed:
    config, model = trained(place)
    return Disturbed(lambda out: ["extract", "--config", config, "--checkpoint", model, "--save_name", "test",
                               "--output_path", out, "--set", "num_workers=2"], cores=8)


def preparation(place: Path, workers: int) -> Disturbed:
    for name in "abcd":
        make_images(place / "photos" / name, 60, size=200, seed=ord(name))

    def done(out: Path) -> set[str]:
        journal = out / ".prepare/done.csv"
        rows = journal.read_text().splitlines()[:-1] if journal.exists() else []
        return {str(out / "images" / f"{row.split(',')[0]}.jpg") for row in rows if row}

    return Disturbed(lambda out: ["prepare", "folder", place / "photos", out / "data", "--size", 64,
                                  "--workers", workers],
                     lambda name: "/.prepare/" not in name,
                     not_repeated=lambda out: {path for path in done(out / "data") if os.path.exists(path)})


def scenes(place: Path) -> Disturbed:
    return Disturbed(lambda out: ["prepare", "concept_scenes", out / "data", "--train", 40, "--test", 20,
                                  "--broden", 24, "--size", 64, "--workers", 1],
                     lambda name: "/.prepare/" not in name and not name.startswith("data/."),
                     partial=lambda name: name.endswith((".jpg", ".png")))


def packing(place: Path) -> Disturbed:
    make_run(place, images=800)
    return Disturbed(lambda out: ["prepare", "pack", place, out / "packed.zip"])


def dissection(place: Path) -> Disturbed:
    _, model = trained(place)
    broden = write_broden(place / "broden", 60)
    return Disturbed(lambda out: ["dissect", "--checkpoint", model, "--broden", broden, "--output", out / "d",
                               "--image_size", 72, "--device", "cpu", "--null", 1, "--batch_size", 2,
                               "--quantile", 0.05],
                  lambda name: not name.endswith("unfinished.npz"))


def codes_file(place: Path, count: int = 600) -> Path:
    save_codes(place / "codes.npz", make_codes(64, count))
    return place / "codes.npz"


def report(place: Path) -> Disturbed:
    codes = codes_file(place, 200)
    return Disturbed(lambda out: ["report", codes, "--output", out / "r", "--draws", 3, "--json", out / "r.json"])


def export(place: Path) -> Disturbed:
    codes = codes_file(place, 3000)
    return Disturbed(lambda out: ["export", codes, "--output", out / "e", "--parquet", "--sql", "--csv"],
                  partial=lambda name: name.endswith("export.json"))


def index(place: Path) -> Disturbed:
    rows = np.where(np.random.default_rng(0).random((400_000, 64)) < 0.5, -1, 1).astype(np.int8)
    np.save(place / "signs.npy", rows)
    return Disturbed(lambda out: ["-c", "import numpy as np\nfrom ibc.retrieval.index import CodeIndex\n"
                                     f"CodeIndex(np.load({str(place / 'signs.npy')!r})).save({str(out / 'i')!r})"])


def explorer(place: Path) -> Disturbed:
    names = make_images(place / "images", 120)
    numbers = np.random.default_rng(0)
    save_codes(place / "codes.npz", CodeSet(numbers.random((120, 16), np.float32),
                                        numbers.integers(0, 3, (120, 1)).astype(np.float32), None,
                                        [f"images/{name}" for name in names]))
    return Disturbed(lambda out: ["explore", place / "codes.npz", "--images", place, "-o", out / "page"])


COMMANDS = {
    "training": training, "extraction": extraction, "preparation": lambda place: preparation(place, 1),
    "preparation by two workers": lambda place: preparation(place, 2), "concept scenes": scenes, "packing": packing,
    "dissection": dissection, "report": report, "export": export, "search index": index, "explorer": explorer}


def fresh(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def finished(zygote: Zygote, command: Disturbed, out: Path, log: Path) -> float:
    """Run it to its end in a folder; seconds."""
    code, seconds = zygote.run(command.words(out), log, command.cores)
    assert code == 0, log.read_text()
    return seconds


def compare(command: Disturbed, out: Path, whole: Path, finished: bool) -> None:
    """Every file is that of the undisturbed run; at the end all are there, and nothing else."""
    found = [name for name in names_below(out) if command.compared(name) and not name.endswith(".tmp")]
    expected = [name for name in names_below(whole) if command.compared(name)]
    if finished:
        assert found == expected
        assert not leftovers(out)
    for name in found:
        if finished or not command.partial(name):
            assert name in expected and command.same(out / name, whole / name), name
