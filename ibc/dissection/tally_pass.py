"""Pass two: masks meet label maps, and pixels are counted.

The maps that exceed their thresholds become masks. Each mask is laid over the label maps of its own image, and over
those of other images for the chance level. Comes out: for each layer the counts behind every IoU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ibc.dissection.counting.bilinear import strict_limit
from ibc.dissection.counting.counts import Counts, FiringMaps, GroupLabels, LabelGroup, PixelCounter
from ibc.dissection.counting.cpu_counts import CpuCounter, CpuLabels
from ibc.dissection.counting.torch_counts import TorchCounter, TorchLabels
from ibc.dissection.encoders import Response
from ibc.dissection.kept_maps import BatchMaps
from ibc.dissection.responses import Responder
from ibc.dissection.resume import Interruptible, State, part_of, with_prefix
from ibc.dissection.threshold_pass import LayerSurvey, survey_state
from ibc.progress import Progress


@dataclass
class LayerCounts:
    """Counts of one layer of K units.

    counts: tables of all pairings. filter_on: (K,) int64 images in which the unit exceeds its threshold.
    both_on: (K,) int64 those of them whose code bit is 1.
    """

    counts: Counts
    filter_on: Tensor
    both_on: Tensor


class TallyPass:
    """Pass two over all groups of images.

    truth: (L,) int64 labelled pixels. layers: one LayerCounts each, complete after ``run``. encoded_again: images whose
    maps pass one could not keep. done: groups counted so far.
    """

    def __init__(self, responder: Responder, surveys: list[LayerSurvey], thresholds: list[np.ndarray], pairings: int,
                 keeper: Interruptible, saved: State):
        """surveys: of pass one. thresholds: (K,) float64 of each layer. pairings: the true one and those by chance.

        saved: state of an unfinished run to go on from, or nothing.
        """
        broden = responder.reader.broden
        self.responder, self.plan, self.surveys, self.keeper = responder, responder.reader.plan, surveys, keeper
        self.label_count, self.categories = broden.label_count, len(broden.categories)
        self.primary = broden.primary
        self.limits = [torch.from_numpy(strict_limit(values)).to(responder.device) for values in thresholds]
        self.done = int(saved.get("groups", 0))
        self.truth = saved.get("truth", np.zeros(self.label_count, np.int64))
        self.encoded_again = 0
        self.layers: list[LayerCounts] = []
        self.counters: list[PixelCounter] = []
        for layer, values in enumerate(thresholds):
            own = part_of(saved, f"layer{layer}.")
            start = (Counts(own["both"], own["activation"], own["pixels"]) if self.done else
                     Counts.empty(len(values), pairings, self.label_count, self.categories))
            on = [torch.from_numpy(own.get(name, np.zeros(len(values), np.int64))).to(responder.device, copy=True)
                  for name in ("filter_on", "both_on")]
            self.layers.append(LayerCounts(start, *on))
            self.counters.append(self._counter(values, start))

    def _counter(self, thresholds: np.ndarray, start: Counts) -> PixelCounter:
        if self.responder.device.type == "cpu":
            return CpuCounter(thresholds, self.primary, start)
        return TorchCounter(thresholds, start, self.responder.device)

    def _labels(self, group: LabelGroup) -> GroupLabels:
        if self.responder.device.type == "cpu":
            return CpuLabels(group, self.label_count)
        return TorchLabels(group, torch.from_numpy(self.primary).to(self.responder.device), self.categories)

    def run(self) -> None:
        """Count the groups that are left."""
        numbers = list(range(self.done, len(self.plan.groups)))
        if not numbers:
            return
        missing = [batch for number in numbers for batch in self.plan.groups[number] if not self._kept(batch)]
        self.encoded_again = sum(len(self.plan.batches[batch]) for batch in missing)
        again = self.responder.batches(missing)
        with Progress(len(self.plan.order), "tally", initial=self.plan.places(self.done).start) as bar:
            for number, group in zip(numbers, self.responder.reader.label_groups(numbers), strict=True):
                labels = self._labels(group)
                self.truth += labels.truth()
                for layer, firing in enumerate(self._firing_maps(number, again)):
                    if len(firing.unit):
                        self.counters[layer].add(labels, firing)
                bar.update(len(group))
                self.done = number + 1
                self.keeper.after_step(self.state)
        for own, counter in zip(self.layers, self.counters, strict=True):
            own.counts = counter.counts()

    def _kept(self, batch: int) -> bool:
        return all(batch in survey.store.kept for survey in self.surveys)

    def _firing_maps(self, number: int, again: Iterator[tuple[int, list[Response]]]) -> list[FiringMaps]:
        """For each layer the maps above their thresholds in the images of group ``number``.

        again: responses of the batches that were not kept, in order.
        """
        parts: list[list[BatchMaps]] = [[] for _ in self.surveys]
        for batch in self.plan.groups[number]:
            offset = self.plan.batches[batch].start - self.plan.places(number).start
            if self._kept(batch):
                maps = [survey.store.kept.pop(batch).above(limits)
                        for survey, limits in zip(self.surveys, self.limits, strict=True)]
            else:
                _, responses = next(again)
                maps = [BatchMaps.of(response, limits)
                        for response, limits in zip(responses, self.limits, strict=True)]
            for layer, part in enumerate(maps):
                part.image = part.image + offset
                parts[layer].append(part)
        for own, gathered in zip(self.layers, parts, strict=True):
            for part in gathered:
                on = part.unit if part.bit is None else part.unit[part.bit]
                own.filter_on.index_add_(0, part.unit, torch.ones_like(part.unit))
                own.both_on.index_add_(0, on, torch.ones_like(on))
        return [FiringMaps(*(torch.cat([getattr(part, name) for part in gathered])
                             for name in ("image", "unit", "maps"))) for gathered in parts]

    def state(self) -> State:
        """What an unfinished run keeps, of both passes."""
        state = {**survey_state(self.surveys, len(self.plan.batches)), "groups": np.array(self.done),
                 "truth": self.truth}
        for layer, (own, counter) in enumerate(zip(self.layers, self.counters, strict=True)):
            counts = counter.counts()
            state.update(with_prefix(f"layer{layer}.", {
                "both": counts.both, "activation": counts.activation, "pixels": counts.pixels,
                "filter_on": own.filter_on.cpu().numpy(), "both_on": own.both_on.cpu().numpy()}))
        return state
