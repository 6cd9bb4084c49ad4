"""How long an epoch will take: the loader's pace on these images, and the pace of updates on this device."""

from __future__ import annotations

import dataclasses
import time

import torch

from ibc.config import Config
from ibc.cores import usable_cores
from ibc.data.list_file import ImageList
from ibc.data.loader import training_batches
from ibc.datasets.doctor.findings import Findings
from ibc.device import keep_freed_memory, resolve_device
from ibc.trainer import Trainer

_BATCH, _CPU_BATCH = 32, 16
_SECONDS = 3.0  # of loading that are timed


def estimate_epoch(config: Config, images: ImageList, device: str, findings: Findings) -> None:
    """Add an estimate of the time of an epoch: the loader is timed for some seconds, and two updates after a first."""
    target = resolve_device(device)
    keep_freed_memory(target)  # as the commands do
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
    model = dataclasses.replace(config.model, pretrained="none", weights_file=None)
    trainer = Trainer(dataclasses.replace(config, model=model), device, pretrained=False)
    full = config.batch_size or _BATCH
    size = full if device.type == "cuda" else min(_CPU_BATCH, full)
    images = torch.randint(0, 256, (size, 3, *config.crop_size), dtype=torch.uint8)
    labels = torch.zeros(size, config.model.class_num if config.model.multi_label else 1)
    labels[:, 0] = 1 if config.model.multi_label else 0
    trainer.step(images, labels)
    _finish(device)
    start = time.perf_counter()
    for _ in range(2):
        trainer.step(images, labels)
    _finish(device)
    return 2 * size / (time.perf_counter() - start)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
