"""How long an epoch will take: the loader's pace on these images, and the pace of updates on this device."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable

import torch

from ibc.config import Config
from ibc.cores import usable_cores
from ibc.data.list_file import ImageList
from ibc.data.loader import training_batches, view_batches
from ibc.datasets.doctor.findings import Findings
from ibc.device import keep_freed_memory, resolve_device
from ibc.frozen.features import PART, TrunkEncoder
from ibc.trainer import Trainer

_BATCH, _CPU_BATCH = 32, 16
_SECONDS = 3.0  # of loading that are timed
_FEWEST, _MOST, _ENOUGH = 3, 15, 1.0  # times that other work is done after the first, and seconds that are enough


def estimate_epoch(config: Config, images: ImageList, device: str, findings: Findings) -> None:
    """Add an estimate of the time of an epoch: the loader and updates are timed for some seconds.

    Of frozen training, an estimate of the features and of the whole run.
    """
    target = resolve_device(device)
    keep_freed_memory(target)  # as the commands do
    if config.model.freeze == "backbone":
        _estimate_frozen(config, images, target, findings)
        return
    loaded, updated = _loader_pace(config, images, target), _update_pace(config, target)
    pace = min(loaded, updated)
    seconds = len(images) / pace
    bound = "the loader" if loaded < updated else "the network"
    findings.numbers["epoch"] = {"loader_images_per_s": loaded, "update_images_per_s": updated, "seconds": seconds,
                                 "device": target.type}
    where = torch.cuda.get_device_name(target) if target.type == "cuda" else "CPU"
    findings.facts.append(f"epoch: about {_duration(seconds)} for {len(images)} images on this machine ({where}), "
                          f"bound by {bound}: loader {loaded:.0f} images/s with num_workers {config.num_workers}, "
                          f"updates {updated:.0f} images/s")
    if config.max_iter and config.batch_size:
        total = config.max_iter * config.batch_size / pace
        findings.numbers["epoch"]["run_seconds"] = total
        findings.facts.append(f"run: about {_duration(total)} for max_iter {config.max_iter}")


def _estimate_frozen(config: Config, images: ImageList, device: torch.device, findings: Findings) -> None:
    """Features of every version of every image, then updates of the heads from them."""
    trainer = _random_trainer(config, device)
    trainer.model.eval()
    encode = TrunkEncoder(trainer.model, device)
    pixels = torch.randint(0, 256, (PART, 3, *config.crop_size), dtype=torch.uint8)
    with torch.inference_mode():
        encoded = coded = PART / _seconds(lambda: encode(pixels), device)
        channels, height, width = encode(pixels[:1]).shape[1:]
        if encode.bf16:  # codes are those of full precision
            encode.bf16 = False
            coded = PART / _seconds(lambda: encode(pixels), device)
    trainer.model.train()
    batch = config.batch_size or _BATCH
    # Channels last, as kept features are: in the other order an update takes longer.
    features = torch.rand(batch, height, width, channels).half().permute(0, 3, 1, 2)
    labels = _labels(config, batch)
    update = _seconds(lambda: trainer.step(features, labels), device)
    loaded = _view_pace(config, images, device)
    pace, code_pace = (_pace(loaded, network, device) for network in (encoded, coded))
    count = len(images) * config.model.views
    findings.numbers["frozen"] = {"loader_images_per_s": loaded, "encoder_images_per_s": encoded,
                                  "feature_seconds": count / pace, "update_seconds": update,
                                  "code_images_per_s": code_pace}
    findings.facts.append(f"features: about {_duration(count / pace)} for {count} images, once: loader {loaded:.0f} "
                          f"images/s, {config.model.backbone} {encoded:.0f} images/s")
    if config.max_iter:
        total = count / pace + config.max_iter * update
        findings.numbers["frozen"]["run_seconds"] = total
        findings.facts.append(f"run: about {_duration(total)} with {config.max_iter} updates of the heads, "
                              f"{1000 * update:.0f} ms each")
    findings.facts.append(f"codes: about {_duration(len(images) / code_pace)} for as many images")


def _pace(loaded: float, encoded: float, device: torch.device) -> float:
    """Images a second. On a CPU the images are decoded by the cores that encode them, between two batches."""
    return min(loaded, encoded) if device.type == "cuda" else 1 / (1 / loaded + 1 / encoded)


def _view_pace(config: Config, images: ImageList, device: torch.device) -> float:
    """Images a second of the loader of centre crops."""
    start, count = time.perf_counter(), 0
    for batch in view_batches(config, images, 0, range(len(images)), PART, device, skip_bad=True):
        count += len(batch.images)
        if time.perf_counter() - start > _SECONDS:
            break
    return max(count, 1) / (time.perf_counter() - start)


def _loader_pace(config: Config, images: ImageList, device: torch.device) -> float:
    """Images a second of the training loader, measured once every worker has begun."""
    endless = dataclasses.replace(config, max_iter=10**9, batch_size=min(config.batch_size or _BATCH, len(images)))
    batches = training_batches(endless, images, 0, device, skip_bad=True)
    for _ in range(max(1, min(config.num_workers, usable_cores()))):
        next(batches)
    start, count = time.perf_counter(), 0
    while count == 0 or time.perf_counter() - start < _SECONDS:
        count += len(next(batches).images)
    return count / (time.perf_counter() - start)


def _update_pace(config: Config, device: torch.device) -> float:
    """Images a second of training updates, on random pixels and random weights, which are as fast as any."""
    trainer = _random_trainer(config, device)
    full = config.batch_size or _BATCH
    size = full if device.type == "cuda" else min(_CPU_BATCH, full)
    images = torch.randint(0, 256, (size, 3, *config.crop_size), dtype=torch.uint8)
    labels = _labels(config, size)
    return size / _seconds(lambda: trainer.step(images, labels), device)


def _random_trainer(config: Config, device: torch.device) -> Trainer:
    """A trainer with random weights."""
    model = dataclasses.replace(config.model, pretrained="none", weights_file=None)
    return Trainer(dataclasses.replace(config, model=model), device, pretrained=False)


def _labels(config: Config, count: int) -> torch.Tensor:
    """Labels of ``count`` images, all of one class."""
    labels = torch.zeros(count, config.model.class_num if config.model.multi_label else 1)
    labels[:, 0] = 1 if config.model.multi_label else 0
    return labels


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """How long ``work`` takes: the median of some times, after a first one, which may take far longer."""
    times: list[float] = []
    while len(times) <= _FEWEST or (len(times) <= _MOST and sum(times) < _ENOUGH):
        start = time.perf_counter()
        work()
        _finish(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
