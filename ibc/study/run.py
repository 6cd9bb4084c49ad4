"""One run of a study: train, encode the test list, score, and keep what later questions need.

Kept are ``result.json``, ``codes.npz`` and ``filters.pt`` (trunk and ``conv_last`` in half precision: all that a
dissection needs). A finished run is not made again; one that was interrupted goes on from its last checkpoint.
"""

from __future__ import annotations

import json
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ibc import checkpoint
from ibc.accelerate.trunk import for_inference
from ibc.codes import CodeSet, save_codes
from ibc.config import Config
from ibc.data.list_file import ImageList
from ibc.data.loader import encoding_batches, images_for_testing
from ibc.errors import input_error
from ibc.files import atomic_write
from ibc.foreign_names import plain_name
from ibc.json_report import read_json, versions
from ibc.network import IBC
from ibc.normalise import normalise
from ibc.objectives.table import OBJECTIVES
from ibc.report.locate import read_scalars
from ibc.study.plan import StudyPlan, StudyRun
from ibc.study.scores import study_scores
from ibc.train_loop import RunFolders, train

RESULT, CODES, FILTERS = "result.json", "codes.npz", "filters.pt"
FILTER_LAYERS = ("enc_style.conv_basic.", "enc_style.conv_last.")


def read_result(folder: Path) -> dict[str, Any] | None:
    """What a finished run found; None before that. Raises InputError for a file that is damaged."""
    path = folder / RESULT
    if not path.is_file():
        return None
    found = read_json(path, "what a run of a study found")
    if not isinstance(found, dict) or not isinstance(found.get("scores"), dict):
        raise input_error(path, "no scores", "what a run of a study found", "delete it: the run is made again")
    return found


def make_run(plan: StudyPlan, run: StudyRun, folder: Path, device: torch.device) -> tuple[dict[str, Any] | None, int]:
    """Train and score one run below ``folder``. Returns its result and 0, or None and the code of a stopped training.

    Raises InputError for bad data, and for a loss that is not finite.
    """
    config = plan.config_of(run)
    config.model_name = plain_name(run.name, plan.path, "the name of a run")
    folders = RunFolders(folder, run.name)
    start = time.perf_counter()
    resume = bool(checkpoint.list_checkpoints(folders.checkpoints))
    code = train(config, folder, device, resume=resume, amp=plan.file.amp, compile_update=plan.file.compile)
    if code:
        return None, code
    trained = time.perf_counter()
    model = checkpoint.load_model(checkpoint.find_checkpoint(folders.checkpoints), config.model)
    codes, pooled = encode_both(model.to(device), config, images_for_testing(config), device)
    model.cpu()
    with torch.inference_mode():
        bits = torch.from_numpy(codes.binary_codes)
        predicted = model.classify_codes(bits if codes.grm is not None else (bits > 0.5).float()).argmax(dim=1).numpy()
    scores = study_scores(codes, predicted, pooled, device, seed=run.seed)
    rates = read_scalars(folders.logs).get("images_per_s")
    speed = statistics.median(rates[1]) if rates else None
    result = {
        "method": run.method, "bits": run.bits, "updates": run.updates, "seed": run.seed,
        "overrides": list(run.overrides), "scores": scores,
        "images_per_s": speed, "ms_per_update": speed and 1000 * config.batch_size / speed,
        "seconds": {"training": trained - start, "scoring": time.perf_counter() - trained},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "versions": versions(),
    }
    save_codes(folder / CODES, codes)
    layers = {name: value.half() for name, value in model.state_dict().items() if name.startswith(FILTER_LAYERS)}
    checkpoint.save_file(folder / FILTERS, {"state_dict": layers})
    with atomic_write(folder / RESULT, "w") as handle:
        json.dump(result, handle, indent=1)
    shutil.rmtree(folders.checkpoints)  # a gigabyte each
    return result, 0


@torch.inference_mode()
def encode_both(model: IBC, config: Config, images: ImageList,
                device: torch.device) -> tuple[CodeSet, np.ndarray | None]:
    """The codes of a list, and (N, K) the mean of each concept map of the same images, where the model has filters."""
    fast = for_inference(model)
    codes, pooled, places = [], [], []
    for batch in encoding_batches(config, images, device):
        features = fast.features(normalise(batch.images.to(device)))
        codes.append(fast.codes_from(features).float().cpu())
        pooled.append(fast.maps_from(features).float().mean(dim=(2, 3)).cpu())
        places.append(batch.indices)
    kept = images.subset(torch.cat(places).numpy())
    kind = OBJECTIVES[config.objective]
    grm = model.grm.detach().float().cpu().numpy() if kind.HAS_GATES else None
    found = CodeSet(torch.cat(codes).numpy(), kept.labels, grm, kept.names)
    return found, torch.cat(pooled).numpy() if kind.HAS_FILTERS else None
