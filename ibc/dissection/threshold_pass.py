"""Pass one: every image is encoded once, and each unit's threshold is found.

Goes in: responses, batch by batch. Comes out, for each layer: the thresholds (a high quantile of a unit's responses
over all images and positions), the unit's top images, how its bit agrees with it, and the maps that pass two needs.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from ibc.dissection.correlation import Correlation
from ibc.dissection.counting.bilinear import strict_limit
from ibc.dissection.encoders import Response
from ibc.dissection.kept_maps import BatchMaps, KeptMaps
from ibc.dissection.quantiles import Quantile, make_quantile, quantile_position
from ibc.dissection.responses import Responder
from ibc.dissection.resume import Interruptible, State, part_of, with_prefix
from ibc.dissection.settings import DissectionSettings
from ibc.dissection.top_images import TopImages
from ibc.errors import input_error
from ibc.progress import Progress

QUANTILE_MEMORY = 2**27  # bytes, of all layers; fixed, so that no number depends on the memory of the machine
BYTES_OF_COUNT = 8


class LayerSurvey:
    """What pass one gathers about one layer of K units.

    top: each unit's top images. store: maps kept for pass two. alignment: of bit k with unit k, None without codes.
    bits_on: (K,) images whose bit is 1. given: (K,) thresholds that replace the quantile, or None.
    """

    def __init__(self, sample: Response, *, images: int, batches: int, position: float, top: int, map_memory: int,
                 quantile_memory: int, given: np.ndarray | None):
        """sample: a response, for shapes and device. images, batches: how many there will be.

        position: of the quantile, a probability. map_memory, quantile_memory: bytes.
        """
        _, units, height, width = sample.maps.shape
        device = sample.maps.device
        self.units, self.given, self.device = units, given, device
        self._given_limit = None if given is None else torch.from_numpy(strict_limit(given)).to(device)
        self.quantile: Quantile = make_quantile(units, images * height * width, position, quantile_memory, device)
        self.store = KeptMaps(map_memory, batches)
        self.top = TopImages(units, min(top, images), (height, width), device)
        self.alignment = None if sample.codes is None else Correlation(units, device)
        self.bits_on = torch.zeros(units, dtype=torch.int64, device=device)

    def add(self, number: int, images: Tensor, response: Response) -> None:
        """Batch ``number``, whose images have the indices ``images`` (B,)."""
        maps = response.maps
        bound = self._given_limit
        if self.given is None:
            self.quantile.add(maps.permute(1, 0, 2, 3).flatten(1))  # (K, B h w)
            bound = self.quantile.lower_bound()
        self.top.add(images, maps)
        if response.codes is not None and self.alignment is not None:
            self.alignment.add(maps.mean((2, 3)), response.codes)
            self.bits_on += (response.codes > 0.5).sum(0)
        if self.store.budget > 0:
            self.store.add(number, BatchMaps.of(response, bound), bound)

    def thresholds(self) -> np.ndarray:
        """(K,) float64, after the last batch."""
        return self.quantile.result() if self.given is None else self.given

    def state(self) -> State:
        """What an unfinished run keeps: everything but the maps."""
        parts = {"quantile": self.quantile.state(), "top": self.top.state()}
        if self.alignment is not None:
            parts["alignment"] = self.alignment.state()
        values: State = {}
        for part, own in parts.items():
            values.update(with_prefix(f"{part}.", own))
        return {**values, "bits_on": self.bits_on.cpu().numpy()}

    def restore(self, state: State) -> None:
        """Go on from a ``state``."""
        for part in ("quantile", "top", "alignment"):
            own = part_of(state, f"{part}.")
            if own:
                getattr(self, part).restore(own)
        self.bits_on = torch.from_numpy(state["bits_on"]).to(self.device)


def threshold_pass(responder: Responder, settings: DissectionSettings, given: list[np.ndarray] | None,
                   keeper: Interruptible, saved: State) -> list[LayerSurvey]:
    """Survey all images; one LayerSurvey a layer.

    given: thresholds (K,) of each layer that replace the quantile. saved: state of an unfinished run to go on from, or
    nothing.
    """
    plan = responder.reader.plan
    numbers = list(range(int(saved.get("batches", 0)), len(plan.batches)))
    if not numbers:
        return _new_surveys(responder.probe(), responder, settings, given, saved)
    surveys: list[LayerSurvey] = []
    with Progress(len(plan.order), "features", initial=plan.batches[numbers[0]].start) as bar:
        for number, responses in responder.batches(numbers):
            surveys = surveys or _new_surveys(responses, responder, settings, given, saved)
            images = torch.from_numpy(plan.images(number)).to(responder.device)
            for survey, response in zip(surveys, responses, strict=True):
                survey.add(number, images, response)
            bar.update(len(images))
            keeper.after_step(partial(survey_state, surveys, number + 1))
    return surveys


def survey_state(surveys: list[LayerSurvey], batches: int) -> State:
    """What an unfinished run keeps of pass one. batches: how many have been surveyed."""
    state: State = {"batches": np.array(batches)}
    for layer, survey in enumerate(surveys):
        state.update(with_prefix(f"survey{layer}.", survey.state()))
    return state


def _new_surveys(samples: list[Response], responder: Responder, settings: DissectionSettings,
                 given: list[np.ndarray] | None, saved: State) -> list[LayerSurvey]:
    """Surveys of all layers, empty or as ``saved``. samples: a response of each layer, for its shapes."""
    broden, layers = responder.reader.broden, len(responder.encoder.layers)
    memory = settings.memory_on(responder.device.type)
    surveys = []
    for layer, sample in enumerate(samples):
        units = sample.maps.shape[1]
        tables = units * (1 + settings.null) * broden.label_count * BYTES_OF_COUNT  # of pass two
        survey = LayerSurvey(
            sample, images=len(broden), batches=len(responder.reader.plan.batches),
            position=quantile_position(settings.quantile, settings.quantile_position), top=settings.top_n,
            map_memory=max(memory // layers - tables, 0), quantile_memory=QUANTILE_MEMORY // layers,
            given=None if given is None else _checked(given[layer], settings, units))
        if saved:
            survey.restore(part_of(saved, f"survey{layer}."))
        surveys.append(survey)
    return surveys


def _checked(values: np.ndarray, settings: DissectionSettings, units: int) -> np.ndarray:
    """Given thresholds as (K,) float64 of the units to dissect; those of all units may be given as well."""
    values = np.asarray(values, np.float64).reshape(-1)
    if settings.units is not None and len(values) >= settings.units[-1] and len(values) != units:
        values = values[np.array(settings.units) - 1]
    if len(values) != units or not np.isfinite(values).all():
        raise input_error("thresholds", f"{len(values)} values", f"{units} finite numbers, one for each unit")
    return values
