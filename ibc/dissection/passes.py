"""The two streamed passes over the images: responses to surveys, then masks and label maps to counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ibc.dissection.activations import StoredBatch, Survey
from ibc.dissection.counting.bilinear import strict_limit
from ibc.dissection.counting.counts import Counter, Counts, CpuCounter, CpuLabels, LabelGroup, Labels, Pairs
from ibc.dissection.encoders import Response
from ibc.dissection.reading import Plan
from ibc.dissection.responses import Responder
from ibc.dissection.resume import Interruptible, State, part_of, with_prefix
from ibc.progress import Progress


def survey_images(responder: Responder, plan: Plan, make: Callable[[int, Response], Survey],
                  keeper: Interruptible, saved: State) -> list[Survey]:
    """Pass one: one Survey a layer over all images. ``make`` builds the survey of (layer, sample response)."""
    surveys: list[Survey] = []

    def begin(responses: list[Response]) -> None:
        for layer, response in enumerate(responses):
            surveys.append(make(layer, response))
            if saved:
                surveys[-1].restore(part_of(saved, f"survey{layer}."))

    numbers = list(range(int(saved.get("batches", 0)), len(plan.batches)))
    if not numbers:
        begin(responder.probe())
        return surveys
    with Progress(len(plan.order), "features", initial=plan.batches[numbers[0]].start) as bar:
        for number, responses in responder.batches(numbers):
            if not surveys:
                begin(responses)
            images = torch.from_numpy(plan.images(number)).to(responder.device)
            for survey, response in zip(surveys, responses, strict=True):
                survey.add(number, images, response)
            bar.update(len(images))
            done = number + 1
            keeper.after_step(lambda done=done: survey_state(surveys, done))  # type: ignore[misc]
    return surveys


def survey_state(surveys: list[Survey], batches: int) -> State:
    state: State = {"batches": np.array(batches)}
    for layer, survey in enumerate(surveys):
        state.update(with_prefix(f"survey{layer}.", survey.state()))
    return state


@dataclass
class LayerCounts:
    """counts: tables with all pairings. filter_on, both_on: (K,) images with a map above its threshold,
    and those of them whose code bit is 1."""

    counts: Counts
    filter_on: Tensor
    both_on: Tensor


class Tallier:
    """Pass two. ``truth``: (L,) labelled pixels; ``layers``: one LayerCounts each; ``encoded_again``: images."""

    def __init__(self, responder: Responder, plan: Plan, surveys: list[Survey], thresholds: list[np.ndarray],
                 pairings: int, keeper: Interruptible, saved: State):
        broden = responder.reader.broden
        self.responder, self.plan, self.surveys, self.keeper = responder, plan, surveys, keeper
        self.label_count, self.categories = broden.label_count, len(broden.categories)
        self.primary = broden.primary
        self.limits = [torch.from_numpy(strict_limit(values)).to(responder.device) for values in thresholds]
        self.done = int(saved.get("groups", 0))
        self.truth = saved.get("truth", np.zeros(self.label_count, np.int64))
        self.encoded_again = 0
        self.layers: list[LayerCounts] = []
        self.counters: list[Counter] = []
        for layer, values in enumerate(thresholds):
            own = part_of(saved, f"layer{layer}.")
            start = (Counts(own["both"], own["activation"], own["pixels"]) if self.done else
                     Counts.empty(len(values), pairings, self.label_count, self.categories))
            on = [torch.from_numpy(own.get(name, np.zeros(len(values), np.int64))).to(responder.device, copy=True)
                  for name in ("filter_on", "both_on")]
            self.layers.append(LayerCounts(start, *on))
            self.counters.append(self._counter(values, start))

    def _counter(self, thresholds: np.ndarray, start: Counts) -> Counter:
        if self.responder.device.type == "cpu":
            return CpuCounter(thresholds, self.primary, start)
        from ibc.dissection.counting.torch_counts import TorchCounter

        return TorchCounter(thresholds, start, self.responder.device)

    def _labels(self, group: LabelGroup) -> Labels:
        if self.responder.device.type == "cpu":
            return CpuLabels(group, self.label_count)
        from ibc.dissection.counting.torch_counts import TorchLabels

        return TorchLabels(group, torch.from_numpy(self.primary).to(self.responder.device), self.categories)

    def run(self) -> None:
        numbers = list(range(self.done, len(self.plan.groups)))
        if not numbers:
            return
        missing = [batch for number in numbers for batch in self.plan.groups[number] if not self._stored(batch)]
        self.encoded_again = sum(len(self.plan.batches[batch]) for batch in missing)
        again = self.responder.batches(missing)
        with Progress(len(self.plan.order), "tally", initial=self.plan.places(self.done).start) as bar:
            for number, group in zip(numbers, self.responder.reader.label_groups(numbers), strict=True):
                labels = self._labels(group)
                self.truth += labels.truth()
                for layer, pairs in enumerate(self._pairs(number, again)):
                    if len(pairs.unit):
                        self.counters[layer].add(labels, pairs)
                bar.update(len(group))
                self.done = number + 1
                self.keeper.after_step(self.state)
        for own, counter in zip(self.layers, self.counters, strict=True):
            own.counts = counter.counts()

    def _stored(self, batch: int) -> bool:
        return all(batch in survey.store.kept for survey in self.surveys)

    def _pairs(self, number: int, again: Iterator[tuple[int, list[Response]]]) -> list[Pairs]:
        """For each layer the maps above their thresholds in the images of a group."""
        parts: list[list[StoredBatch]] = [[] for _ in self.surveys]
        for batch in self.plan.groups[number]:
            offset = self.plan.batches[batch].start - self.plan.places(number).start
            if self._stored(batch):
                maps = [survey.store.kept.pop(batch).above(limits)
                        for survey, limits in zip(self.surveys, self.limits, strict=True)]
            else:
                _, responses = next(again)
                maps = [StoredBatch.of(response, limits)
                        for response, limits in zip(responses, self.limits, strict=True)]
            for layer, part in enumerate(maps):
                part.image = part.image + offset
                parts[layer].append(part)
        for own, gathered in zip(self.layers, parts, strict=True):
            for part in gathered:
                on = part.unit if part.bit is None else part.unit[part.bit]
                own.filter_on.index_add_(0, part.unit, torch.ones_like(part.unit))
                own.both_on.index_add_(0, on, torch.ones_like(on))
        return [Pairs(*(torch.cat([getattr(part, name) for part in gathered]) for name in ("image", "unit", "maps")))
                for gathered in parts]

    def state(self) -> State:
        state = {**survey_state(self.surveys, len(self.plan.batches)), "groups": np.array(self.done),
                 "truth": self.truth}
        for layer, (own, counter) in enumerate(zip(self.layers, self.counters, strict=True)):
            counts = counter.counts()
            state.update(with_prefix(f"layer{layer}.", {
                "both": counts.both, "activation": counts.activation, "pixels": counts.pixels,
                "filter_on": own.filter_on.cpu().numpy(), "both_on": own.both_on.cpu().numpy()}))
        return state
