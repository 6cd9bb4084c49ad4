"""Network dissection from end to end: an encoder and Broden-format data in, a ``Tally`` for every layer out.

Pass one encodes every image once and finds each unit's threshold, a high quantile of its responses. A mask is where a
feature map, enlarged to the label maps, lies above it. Pass two lays the masks over the label maps and counts pixels:
the counts give the IoU of every unit with every concept. The same masks over the label maps of other images give the
chance level. Memory is bounded by the settings, not by the number of images. Nothing is written but the small state
that lets an interrupted run go on.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ibc.cores import usable_cores
from ibc.data.broden.dataset import Broden
from ibc.device import resolve_device
from ibc.dissection.encoders import Encoder, as_encoder
from ibc.dissection.reading import BrodenReader, input_size
from ibc.dissection.responses import Responder, full_precision
from ibc.dissection.resume import SAVE_SECONDS, STATE_FILE, Interruptible
from ibc.dissection.settings import MEGABYTE, DissectionSettings
from ibc.dissection.tally import Alignment, Tally, best_by_chance
from ibc.dissection.tally_pass import LayerCounts, TallyPass
from ibc.dissection.threshold_pass import LayerSurvey, threshold_pass
from ibc.dissection.visit_plan import plan_visits
from ibc.errors import input_error
from ibc.memory import lower_on_memory_error

FORMAT = 2  # part of every key: raise it when the same inputs come to give other numbers


@dataclass
class DissectionRun:
    """What ``dissect_layers`` returns.

    tallies: one a layer. seconds: of the passes. encoded_again: images that pass two had to encode.
    continued: whether the run went on from the state of an interrupted one.
    """

    tallies: list[Tally]
    seconds: dict[str, float] = field(default_factory=dict)
    encoded_again: int = 0
    continued: bool = False


def dissect(encoder: nn.Module | Encoder, broden: Broden, settings: DissectionSettings | None = None) -> Tally:
    """Dissect one layer: the concept filters of an IBC network, or a module that returns maps (N, K, h, w).

    The module is moved to the device of the settings and put in eval mode. Raises InputError where the encoder has
    several layers, and on data that cannot be read.
    """
    run = dissect_layers(as_encoder(encoder), broden, settings or DissectionSettings())
    if len(run.tallies) != 1:
        raise input_error("encoder", f"{len(run.tallies)} layers", "one", "use dissect_layers")
    return run.tallies[0]


def dissect_layers(encoder: Encoder, broden: Broden, settings: DissectionSettings, *, key: str | None = None,
                   thresholds: list[np.ndarray] | None = None, save_seconds: float = SAVE_SECONDS,
                   write: Callable[[list[Tally]], None] | None = None) -> DissectionRun:
    """Dissect every layer of ``encoder``.

    With ``settings.output`` an interrupted run leaves its state in that folder, and the same call goes on from it.
    key: of this run (default: ``run_key``). thresholds: (K,) for each layer, used instead of the quantile.
    save_seconds: between two saves of the state. write: writes the tallies to disk, before the state is deleted.
    Raises InputError where images or label maps changed during the run.
    """
    settings = suited(settings, encoder)
    device = resolve_device(settings.device)
    encoder.prepare(device)
    key = key or run_key(encoder, broden, settings, thresholds)
    pairings = 1 + settings.null  # each image with its own label maps, then with those of others
    plan = plan_visits(broden, settings.batch_size, pairings, settings.seed)
    reader = BrodenReader(broden, plan, input_size(broden, settings.image_size), *_workers(settings.workers, device),
                          decoder="turbo" if device.type == "cuda" else "pillow")  # a CPU is busy encoding anyway
    responder = Responder(encoder, reader, settings.normalization, settings.units, device)
    state_file = None if settings.output is None else Path(settings.output, STATE_FILE)

    tried = f"{settings.memory_on(device.type) // MEGABYTE} MB of feature maps and tables"
    with (Interruptible(state_file, key, save_seconds) as keeper, torch.inference_mode(), full_precision(),
          lower_on_memory_error("--memory", tried, "take less, as in --memory 256M; the same command goes on")):
        saved = keeper.load()
        begin = time.perf_counter()
        surveys = threshold_pass(responder, settings, thresholds, keeper, saved)
        found = [survey.thresholds() for survey in surveys]
        middle = time.perf_counter()
        tally_pass = TallyPass(responder, surveys, found, pairings, keeper, saved)
        tally_pass.run()
        end = time.perf_counter()

    broden.check_unchanged()
    model = encoder.model()
    tallies = [_tally(name, broden, settings, survey, values, counts, tally_pass.truth, key, model) for
               name, survey, values, counts in zip(encoder.layers, surveys, found, tally_pass.layers, strict=True)]
    if write is not None:
        write(tallies)
    keeper.forget()
    seconds = {"features": middle - begin, "tally": end - middle}
    return DissectionRun(tallies, seconds, tally_pass.encoded_again, bool(saved))


def suited(settings: DissectionSettings, encoder: Encoder) -> DissectionSettings:
    """The settings with the normalisation of training, where the encoder is none that the official tool knows."""
    return settings if encoder.official else replace(settings, normalization="training")


def run_key(encoder: Encoder, broden: Broden, settings: DissectionSettings,
            thresholds: list[np.ndarray] | None = None) -> str:
    """A hash of model, data and every setting that can change a number: equal keys mean equal results."""
    numbers = {**settings.numbers(), "device": resolve_device(settings.device).type, "format": FORMAT}
    if thresholds is not None:
        numbers["thresholds"] = [values.tolist() for values in thresholds]
    text = json.dumps([encoder.fingerprint(), broden.fingerprint(), numbers], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _workers(wanted: int, device: torch.device) -> tuple[int, int]:
    """Processes that read images, and processes that read label maps.

    An encoder on the CPU keeps all cores busy; many readers beside it would only make its threads wait.
    """
    cores = usable_cores()
    return min(wanted, cores // 4 if device.type == "cpu" else cores), min(wanted, cores)


def _tally(layer: str, broden: Broden, settings: DissectionSettings, survey: LayerSurvey, thresholds: np.ndarray,
           counts: LayerCounts, truth: np.ndarray, key: str, model: str) -> Tally:
    """What both passes found of one layer, as plain arrays."""
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
        settings=settings.numbers() | given, key=key, model=model)
