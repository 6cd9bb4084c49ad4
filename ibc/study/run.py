"""One run of a study: train (or fit), encode the test list, score, and keep what later questions need.

Kept are ``result.json``, ``codes.npz`` and ``filters.pt`` (trunk and ``conv_last`` in half precision: all that a
dissection needs). A finished run is not made again; one that was interrupted goes on from its last checkpoint. The
features of frozen backbones are computed once for all runs of a study.
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
from ibc.backbones.network import BackboneNetwork, make_network
from ibc.batch_labels import whole_batch
from ibc.codes import save_codes
from ibc.config import Config
from ibc.data.broden.dataset import load_broden
from ibc.data.loader import images_for_training
from ibc.errors import input_error
from ibc.files import atomic_write
from ibc.foreign_names import plain_name
from ibc.frozen.features import kept_features, pooled_features
from ibc.frozen.post_hoc import fit_post_hoc
from ibc.json_report import read_json, versions
from ibc.network import IBC
from ibc.pretrained import load_pretrained
from ibc.report.locate import read_scalars
from ibc.study.encoding import encode_test_list, kept_test_features
from ibc.study.meaning import bits_and_attributes, dissection_scores
from ibc.study.plan import StudyPlan, StudyRun
from ibc.study.scores import study_scores
from ibc.train_loop import RunFolders, train

RUNS, FEATURES = "runs", "features"  # folders of a study
RESULT, CODES, FILTERS = "result.json", "codes.npz", "filters.pt"
FILTER_LAYERS = ("enc_style.conv_basic.", "enc_style.conv_last.", "enc_style.centre")


def read_result(folder: Path) -> dict[str, Any] | None:
    """What a finished run found; None before that. Raises InputError for a file that is damaged."""
    path = folder / RESULT
    if not path.is_file():
        return None
    found = read_json(path, "what a run of a study found")
    if not isinstance(found, dict) or not isinstance(found.get("scores"), dict):
        raise input_error(path, "no scores", "what a run of a study found", "delete it: the run is made again")
    return found


def make_run(plan: StudyPlan, run: StudyRun, study: Path, device: torch.device) -> tuple[dict[str, Any] | None, int]:
    """Train and score one run in the folder of a study. Returns its result and 0, or None and a stopped one's code.

    Raises InputError for bad data, and for a loss that is not finite.
    """
    config = plan.config_of(run)
    config.model_name = plain_name(run.name, plan.path, "the name of a run")
    broden = None if plan.file.broden is None else load_broden(plan.file.broden)
    folder = study / RUNS / run.name
    folders = RunFolders(folder, run.name)
    frozen = config.model.freeze == "backbone"
    features = study / FEATURES if frozen else None
    if features:
        _keep_features(config, features, device)  # before the clock starts
    start = time.perf_counter()
    if run.codes:
        assert features is not None
        model: IBC = _post_hoc_model(config, run, features, device)
    else:
        resume = bool(checkpoint.list_checkpoints(folders.checkpoints))
        # A plan's amp and compile are for the trunk, which is not trained here.
        code = train(config, folder, device, resume=resume, features=features, amp="off" if frozen else plan.file.amp,
                     compile_update=plan.file.compile and not frozen)
        if code:
            return None, code
        model = checkpoint.load_model(checkpoint.find_checkpoint(folders.checkpoints), config.model)
    trained = time.perf_counter()
    codes, pooled = encode_test_list(model.to(device), config, device, features, post_hoc=bool(run.codes))
    dissection = None if broden is None or pooled is None else dissection_scores(model, broden, config, device)
    model.cpu()
    with torch.inference_mode():
        bits = torch.from_numpy(codes.binary_codes)
        predicted = model.classify_codes(bits if codes.grm is not None else (bits > 0.5).float()).argmax(dim=1).numpy()
    scores = study_scores(codes, predicted, pooled, device, seed=run.seed)
    scores["bit_attributes"] = bits_and_attributes(codes.binary_codes, codes.labels[:, 1:])
    scores["dissection"] = dissection
    rates = None if run.codes else read_scalars(folders.logs).get("images_per_s")
    speed = statistics.median(rates[1]) if rates else None
    result = {
        "method": run.method, "backbone": config.model.backbone, "bits": run.bits, "updates": run.updates,
        "seed": run.seed, "overrides": list(run.overrides), "scores": scores,
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
    if folders.checkpoints.exists():
        shutil.rmtree(folders.checkpoints)  # a gigabyte each
    return result, 0


def _keep_features(config: Config, folder: Path, device: torch.device) -> None:
    """Compute the features of both lists, unless an earlier run did."""
    model = _untrained(config).to(device)
    kept_features(model, config, images_for_training(config), folder, device, shared=True)
    kept_test_features(model, config, folder, device)


def _post_hoc_model(config: Config, run: StudyRun, folder: Path, device: torch.device) -> BackboneNetwork:
    """A model whose code is fitted to the kept features of the training list, without any update."""
    images = images_for_training(config)
    model = _untrained(config).to(device)
    assert isinstance(model, BackboneNetwork)  # as the plan was checked for
    features = kept_features(model, config, images, folder, device, shared=True)
    classes = whole_batch(torch.from_numpy(images.labels), config.model).targets
    fit_post_hoc(model.cpu(), pooled_features(features, np.arange(len(images))), classes, run.codes, run.seed)
    return model.eval()


def _untrained(config: Config) -> IBC:
    torch.manual_seed(config.seed)
    model = make_network(config.model, config.init)
    load_pretrained(model, config.model)
    return model
