"""Dissection from end to end: an encoder and Broden-format data in, a ``Tally`` for every layer out.

Pass one encodes every image once and finds thresholds; pass two lays the masks over the label maps.
Maps that pass one could not keep in memory are encoded again. Memory is bounded by the settings, not
by the number of images, and nothing is written but the small state that a continued run needs.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ibc.cores import usable_cores
from ibc.data.broden.dataset import Broden
from ibc.device import resolve_device
from ibc.dissection.activations import Survey
from ibc.dissection.encoders import Encoder, Response, as_encoder
from ibc.dissection.passes import LayerCounts, Tallier, survey_images
from ibc.dissection.quantiles import MEMORY, quantile_position
from ibc.dissection.reading import Reader, input_size, make_plan
from ibc.dissection.responses import Responder, full_precision
from ibc.dissection.resume import SAVE_SECONDS, Interruptible
from ibc.dissection.settings import CPU_MEMORY, GPU_MEMORY, DissectionSettings
from ibc.dissection.tally import Alignment, Tally, best_by_chance
from ibc.errors import input_error

FORMAT = 2  # part of every key: raise it when the same inputs come to give other numbers
BYTES_OF_COUNT = 8
STATE_FILE = ".dissection-in-progress.npz"


@dataclass
class Run:
    """Tallies by layer. seconds: of the stages. encoded_again: images that pass two had to encode.

    continued: whether the state of an interrupted run was found.
    """

    tallies: list[Tally]
    seconds: dict[str, float] = field(default_factory=dict)
    encoded_again: int = 0
    continued: bool = False


def dissect(encoder: nn.Module | Encoder, broden: Broden, settings: DissectionSettings | None = None) -> Tally:
    """Dissect an encoder of one layer: an IBC network, or a module that returns maps (N, K, h, w).

    The module is moved to the device of the settings and put in eval mode.
    """
    run = dissect_layers(as_encoder(encoder), broden, settings or DissectionSettings())
    if len(run.tallies) != 1:
        raise input_error("encoder", f"{len(run.tallies)} layers", "one", "use dissect_layers")
    return run.tallies[0]


def run_key(encoder: Encoder, broden: Broden, settings: DissectionSettings,
            thresholds: list[np.ndarray] | None = None) -> str:
    """Identifies model, data and every setting that can move a number."""
    numbers = {**settings.numbers(), "device": resolve_device(settings.device).type, "format": FORMAT}
    if thresholds is not None:
        numbers["thresholds"] = [values.tolist() for values in thresholds]
    text = json.dumps([encoder.fingerprint(), broden.fingerprint(), numbers], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def dissect_layers(encoder: Encoder, broden: Broden, settings: DissectionSettings, *, key: str | None = None,
                   thresholds: list[np.ndarray] | None = None, save_seconds: float = SAVE_SECONDS,
                   write: Callable[[list[Tally]], None] | None = None) -> Run:
    """Dissect every layer of ``encoder``.

    With ``settings.output`` an interrupted run leaves its state there, and the same call goes on
    from it. thresholds: (K,) for each layer, used instead of the quantile. write: takes the tallies
    to disk, before the state that they came from is deleted.
    """
    device = resolve_device(settings.device)
    encoder.prepare(device)
    key = key or run_key(encoder, broden, settings, thresholds)
    state_file = None if settings.output is None else Path(settings.output, STATE_FILE)
    plan = make_plan(broden, settings.batch_size, 1 + settings.null, settings.seed)
    reader = Reader(broden, plan, input_size(broden, settings.image_size), *_workers(settings.workers, device),
                    decoder="turbo" if device.type == "cuda" else "pillow")  # a CPU is busy encoding anyway
    responder = Responder(encoder, reader, settings.normalization, settings.units, device)

    def make_survey(layer: int, sample: Response) -> Survey:
        given = None if thresholds is None else _given(thresholds[layer], settings, sample.maps.shape[1])
        memory = settings.memory
        if memory is None:
            memory = GPU_MEMORY if device.type == "cuda" else CPU_MEMORY
        tables = sample.maps.shape[1] * (1 + settings.null) * broden.label_count * BYTES_OF_COUNT
        return Survey(sample, len(broden), len(plan.batches),
                      quantile_position(settings.quantile, settings.quantile_position), settings.top_n,
                      max(memory // len(encoder.layers) - tables, 0), MEMORY // len(encoder.layers), given)

    with Interruptible(state_file, key, save_seconds) as keeper, torch.inference_mode(), full_precision():
        saved = keeper.load()
        begin = time.perf_counter()
        surveys = survey_images(responder, plan, make_survey, keeper, saved)
        found = [survey.thresholds() for survey in surveys]
        middle = time.perf_counter()
        tallier = Tallier(responder, plan, surveys, found, 1 + settings.null, keeper, saved)
        tallier.run()
        end = time.perf_counter()
    tallies = [_tally(name, broden, settings, survey, values, counts, tallier.truth, key)
               for name, survey, values, counts in zip(encoder.layers, surveys, found, tallier.layers, strict=True)]
    if write is not None:
        write(tallies)
    keeper.forget()
    return Run(tallies, {"features": middle - begin, "tally": end - middle}, tallier.encoded_again, bool(saved))


def _workers(wanted: int, device: torch.device) -> tuple[int, int]:
    """Processes that read images and label maps.

    An encoder on the CPU keeps all cores busy: readers beside it would only make its threads wait.
    """
    cores = usable_cores()
    return min(wanted, cores // 4 if device.type == "cpu" else cores), min(wanted, cores)


def _given(values: np.ndarray, settings: DissectionSettings, units: int) -> np.ndarray:
    values = np.asarray(values, np.float64).reshape(-1)
    if settings.units is not None and len(values) >= settings.units[-1] and len(values) != units:
        values = values[np.array(settings.units) - 1]
    if len(values) != units or not np.isfinite(values).all():
        raise input_error("thresholds", f"{len(values)} values", f"{units} finite numbers, one for each unit")
    return values


def _tally(layer: str, broden: Broden, settings: DissectionSettings, survey: Survey, thresholds: np.ndarray,
           counts: LayerCounts, truth: np.ndarray, key: str) -> Tally:
    alignment = None
    if survey.alignment is not None:
        images_on = (on.cpu().numpy() for on in (survey.bits_on, counts.filter_on, counts.both_on))
        alignment = Alignment(survey.alignment.result(), *images_on)
    given = {} if survey.given is None else {"thresholds": hashlib.sha256(thresholds.tobytes()).hexdigest()}
    shown, places = np.unique(survey.top.image.cpu().numpy(), return_inverse=True)
    names = [broden.records[index].image if index >= 0 else "" for index in shown]
    height, width = survey.top.maps.shape[2:]
    return Tally(
        layer=layer,
        units=np.arange(1, survey.units + 1) if settings.units is None else np.array(settings.units),
        thresholds=thresholds,
        rank_error=0.0 if survey.given is not None else survey.quantile.rank_error / (len(broden) * height * width),
        categories=broden.categories, names=broden.names, primary=broden.primary,
        both=counts.counts.both[:, 0].copy(), activation=counts.counts.activation[:, 0].copy(), truth=truth,
        pixels=counts.counts.pixels, null=best_by_chance(counts.counts, truth, broden.primary),
        top_images=places.reshape(survey.top.image.shape), top_peaks=survey.top.peak.cpu().numpy(),
        top_maps=survey.top.maps.cpu().numpy(), image_names=names, images=len(broden), alignment=alignment,
        settings=settings.numbers() | given, key=key)
