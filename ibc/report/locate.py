"""Where the files of a run are, in the official layout of folders.

Any path of a run flows in; its codes file, configuration and TensorBoard folder flow out. Two readers are here too: of
the scalars that training logged, and of the configuration.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ibc.errors import input_error
from ibc.typed_yaml import Entry, read_tree

OUTPUTS, LOGS, RESULTS, CONFIG = "outputs", "logs", "results", "config.yaml"
ENDINGS = (".npz", ".mat")
Curve = tuple[np.ndarray, np.ndarray]  # updates that were done (n,), and values (n,)


@dataclass
class RunFiles:
    """The files of one run. name: of the model, or of the codes file. config, logs: None where there is none."""

    name: str
    codes: Path
    config: Path | None
    logs: Path | None


def find_run(path: str | os.PathLike, codes: str | None = None) -> RunFiles:
    """The files of the run that ``path`` belongs to.

    path: a codes file (in ``<out>/results/<model>/`` its run is found beside it), ``<out>/outputs/<model>``,
    ``<out>/results/<model>``, ``<out>/logs/<model>``, or ``<out>`` itself where it holds one model. codes: which codes
    file, by path or by save name; without it the newest. Raises InputError where nothing fits.
    """
    where = Path(path)
    if where.is_file():
        if codes is not None:
            raise input_error("--codes", f"{codes} with the codes file {where}", "a folder of a run", "leave one out")
        folder = where.absolute().parent
        if folder.parent.name == RESULTS:
            return _assemble(folder.parent.parent, folder.name, where)
        return RunFiles(where.stem, where, None, None)
    if not where.is_dir():
        raise input_error(where, "no such file or folder", "a codes file, or a folder that train.py wrote")
    whole = where.absolute()
    if whole.parent.name in (OUTPUTS, LOGS, RESULTS):
        root, model = whole.parent.parent, whole.name
    else:
        root, model = whole, _only_model(where)
    return _assemble(root, model, _choose_codes(root / RESULTS / model, codes))


def _assemble(root: Path, model: str, codes: Path) -> RunFiles:
    if codes.is_relative_to(Path.cwd()):
        codes = codes.relative_to(Path.cwd())
    config, logs = root / OUTPUTS / model / CONFIG, root / LOGS / model
    return RunFiles(model, codes, config if config.is_file() else None, logs if logs.is_dir() else None)


def _only_model(folder: Path) -> str:
    models = sorted({item.name for part in (OUTPUTS, RESULTS) if (folder / part).is_dir()
                     for item in (folder / part).iterdir() if item.is_dir()})
    if len(models) != 1:
        found = f"the models {', '.join(models)}" if models else f"neither {OUTPUTS}/ nor {RESULTS}/ with a model"
        raise input_error(folder, found, "one model", f"give {folder / OUTPUTS / (models[0] if models else 'MODEL')}")
    return models[0]


def _choose_codes(folder: Path, wish: str | None) -> Path:
    if wish is not None:
        candidates = [Path(wish), *(folder / f"{wish}{ending}" for ending in ENDINGS)]
        for candidate in candidates:
            if candidate.is_file() and candidate.suffix in ENDINGS:
                return candidate
    present = [item for ending in ENDINGS for item in sorted(folder.glob(f"*{ending}"))] if folder.is_dir() else []
    if wish is not None or not present:
        names = ", ".join(sorted({item.stem for item in present}))
        raise input_error(folder, f"no codes '{wish}'" if wish else "no codes file", "what fea_extraction.py writes",
                          f"present: {names}" if names else "run fea_extraction.py first, or give --codes FILE")
    newest = max(present, key=lambda item: item.stat().st_mtime_ns)
    return next(item for item in present if item.stem == newest.stem)  # .npz before its twin .mat


def read_scalars(logs: Path | None) -> dict[str, Curve]:
    """Tag -> (updates, values) of all TensorBoard files of a folder; empty where there are none."""
    if logs is None:
        return {}
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415 - optional
    except ImportError:
        raise input_error(logs, "TensorBoard files, and tensorboard is not installed", "tensorboard to read them",
                          "run: pip install tensorboard") from None
    events = EventAccumulator(str(logs), size_guidance={"scalars": 0}).Reload()
    found = {}
    for tag in events.Tags()["scalars"]:
        points = [(item.step, item.value) for item in events.Scalars(tag)]
        found[tag] = (np.array([step for step, _ in points]), np.array([value for _, value in points]))
    return found


def read_config(path: Path | None) -> dict[str, Any]:
    """The configuration as flat ``a.b`` keys, known or not; empty where there is none. Raises InputError if torn."""
    if path is None:
        return {}
    flat: dict[str, Any] = {}

    def add(prefix: str, entry: Entry) -> None:
        if isinstance(entry.value, dict):
            for key, item in entry.value.items():
                add(f"{prefix}.{key}" if prefix else str(key), item)
        else:
            flat[prefix] = entry.value

    add("", read_tree(path))
    return flat
