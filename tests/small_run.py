"""A small data set of real JPEGs and a configuration for it, which tests train on in a second."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from ibc.data.zip_folder import read_bytes

ROOT = Path(__file__).resolve().parents[1]
CLASSES = 4


def make_images(folder: Path, count: int, size: int = 80, seed: int = 0) -> list[str]:
    """Photograph-like JPEGs: smooth noise in a colour of the class (index % CLASSES)."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for index in range(count):
        coarse = random.integers(0, 120, (8, 8, 3)).astype(np.uint8)
        coarse[..., index % 3] += np.uint8(40 * (index % CLASSES))
        picture = Image.fromarray(coarse).resize((size + index % 5, size), Image.BILINEAR)
        names.append(f"{index:03d}.jpg")
        picture.save(folder / names[-1], quality=90)
    return names


def make_run(folder: Path, images: int = 40, **changes) -> Path:
    """Images, list files and ``config.yaml`` below ``folder``; returns the configuration's path."""
    names = make_images(folder / "images", images)
    for list_name in ("train.txt", "test.txt"):
        rows = [f"images/{name} {index % CLASSES}" for index, name in enumerate(names)]
        (folder / list_name).write_text("\n".join(rows) + "\n")
    values = {
        "model": {"code_len": 8, "class_num": CLASSES, "thr_g": 5, "pretrained": "none", "fc_dim": 16},
        "lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "weight_decay": 5e-4, "init": "kaiming",
        "hash_std_w": 1, "hash_mask_w": 0.2, "GRM_w": 1e-5, "align_w": 1e4, "real_std_w": 1, "real_mask_w": 0.05,
        "sparse_w": 0.1, "lr_policy": "step", "step_size": 7, "gamma": 0.5, "max_iter": 14, "batch_size": 8,
        "model_name": "small", "snapshot_save_iter": 5, "log_iter": 5, "data_folder": f"{folder}/",
        "train_list_file": "train.txt", "test_list_file": "test.txt", "new_size": 80,
        "crop_image_height": 72, "crop_image_width": 72, "num_workers": 0,
    }
    model = {**values["model"], **changes.pop("model", {})}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**values, **changes, "model": model}))
    return path


def make_late(path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Whoever reads ``path`` from now on waits for a call of the result. It says False if nobody called for 20 s.

    The path becomes a pipe, which readers of images refuse otherwise.
    """
    monkeypatch.setattr("ibc.data.decode.read_bytes", lambda file, **_: read_bytes(file))
    content, called, by_call = path.read_bytes(), threading.Event(), []
    path.unlink()
    os.mkfifo(path)

    def write() -> None:
        by_call.append(called.wait(timeout=20))
        path.write_bytes(content)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()

    def come() -> bool:
        called.set()
        writer.join(timeout=20)
        return by_call == [True]

    return come


def run(script: str, *arguments, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """A command of the repository, run in this process (no start-up to pay for); output is captured."""
    module = importlib.import_module(script.removesuffix(".py").replace("/", "."))
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.chdir(cwd):
        try:
            code = module.COMMAND([str(item) for item in arguments])
        except SystemExit as ended:
            code = ended.code
    return subprocess.CompletedProcess([script, *arguments], code, out.getvalue(), err.getvalue())


def run_alone(*arguments, **options) -> subprocess.CompletedProcess:
    """A command in a process of its own, as a user starts it."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=options.pop("cwd", ROOT), capture_output=True, text=True, timeout=300,
                          check=False, **options)


def error_of(result: subprocess.CompletedProcess) -> str:
    """The one ``error:`` line of a command that found bad input: exit code 2 and no traceback."""
    assert result.returncode == 2, (result.returncode, result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, result.stderr
    return lines[0]
