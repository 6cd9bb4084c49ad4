"""Quantiles of all units at once, from values that arrive in batches: the thresholds of a dissection.

A unit's threshold is a high quantile of its responses over all images and positions. The number of values n is known
beforehand, so the exact quantile needs only the n q largest values of each unit (``TopValues``: 12 MB for 256 units on
Broden). Where even these are too many for the memory, ``RankSketch`` keeps a bounded summary, and says how far its
answer can be, in ranks, from the exact one.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

RAISE_AFTER = 1.125  # the sketch looks for a higher bound when the number of values seen has grown by this factor
UNITS_AT_ONCE = 16   # that the sketch sorts together
GRID = 1000          # the official tool looks thresholds up in a table of 1000 equally spaced probabilities


def quantile_position(fraction: float, rule: str) -> float:
    """The probability whose quantile is the threshold, when the upper ``fraction`` q of responses counts as firing.

    ``official``: entry int(1000 (1 - q) - 1) of linspace(0, 1, 1000), 994/999 for q = 0.005.
    ``exact``: 1 - q.
    """
    return 1 - fraction if rule == "exact" else max(int(GRID * (1 - fraction) - 1), 0) / (GRID - 1)


def interpolation(position: float, count: int) -> tuple[int, int, float]:
    """(i, j, w) such that the quantile at ``position`` of n = ``count`` sorted values s is s[i] + w (s[j] - s[i]).

    Value i lies at probability (i + 0.5) / n; below the first lies the minimum, above the last the maximum.
    """
    place = min(max(position * count - 0.5, 0.0), count - 1.0)
    low = min(int(place), count - 1)
    return low, min(low + 1, count - 1), place - low


def exact_quantile(values: np.ndarray, position: float) -> np.ndarray:
    """Quantile along the last axis, float64, of values that are all there: the plain definition."""
    ordered = np.sort(np.asarray(values, np.float64), axis=-1)
    low, high, weight = interpolation(position, ordered.shape[-1])
    return ordered[..., low] + weight * (ordered[..., high] - ordered[..., low])


class Quantile(Protocol):
    """What both estimators have in common. rank_error: largest distance, in ranks, from the exact quantile."""

    rank_error: int

    def add(self, values: Tensor) -> None:
        """values: (K, b) float32."""
        ...

    def lower_bound(self) -> Tensor | None:
        """(K,) float32 that the final quantile does not fall below; None as long as none is known."""
        ...

    def result(self) -> np.ndarray:
        """(K,) float64, once all values are in."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """What an unfinished run keeps."""
        ...

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a ``state``."""
        ...


def make_quantile(units: int, count: int, position: float, memory: int, device: torch.device) -> Quantile:
    """The exact estimator if its buffer fits into ``memory`` bytes, else the sketch.

    units: K. count: values that each unit will receive. position: of the quantile, a probability.
    """
    top = TopValues(units, count, position, device)
    return top if top.bytes <= memory else RankSketch(units, count, position, memory, device)


class TopValues:
    """The exact quantile: keeps the largest values of each unit, as many as it needs."""

    rank_error = 0

    def __init__(self, units: int, count: int, position: float, device: torch.device):
        """count: values that each unit will receive."""
        self.count, self.position = count, position
        self.keep = count - interpolation(position, count)[0]
        self.room = min(count, 2 * self.keep + 4096)  # columns of the buffer; more than needed, to select seldom
        self.units, self.device, self.filled = units, device, 0
        self._buffer: Tensor | None = None
        self._bound: Tensor | None = None

    @property
    def bytes(self) -> int:
        """Memory of the buffer."""
        return 4 * self.units * self.room

    def add(self, values: Tensor) -> None:
        """values: (K, b) float32."""
        if self._buffer is None:
            self._buffer = torch.empty(self.units, self.room, device=self.device)
        while values.shape[1]:
            if self.filled == self.room:
                self._select()
            taken = min(self.room - self.filled, values.shape[1])
            self._buffer[:, self.filled : self.filled + taken] = values[:, :taken]
            self.filled += taken
            values = values[:, taken:]

    def _select(self) -> None:
        if self._buffer is not None and self.filled > self.keep:
            self._buffer[:, : self.keep] = self._buffer[:, : self.filled].topk(self.keep, dim=1, sorted=False).values
            self._bound = self._buffer[:, : self.keep].amin(1)
            self.filled = self.keep

    def lower_bound(self) -> Tensor | None:
        """(K,) float32, the least value kept at the last selection; None before it."""
        return self._bound

    def result(self) -> np.ndarray:
        """(K,) float64, once all values are in."""
        self._select()
        assert self._buffer is not None
        ordered = self._buffer[:, : self.keep].sort(dim=1).values.cpu().numpy().astype(np.float64)
        low, high, weight = interpolation(self.position, self.count)
        offset = self.count - self.keep
        return ordered[:, low - offset] + weight * (ordered[:, high - offset] - ordered[:, low - offset])

    def state(self) -> dict[str, np.ndarray]:
        """What an unfinished run keeps: the values."""
        self._select()
        kept = torch.empty(self.units, 0) if self._buffer is None else self._buffer[:, : self.filled].cpu()
        return {"values": kept.numpy().copy()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a ``state``."""
        self.filled, self._buffer = 0, None
        self.add(torch.from_numpy(state["values"]).to(self.device))


class RankSketch:
    """The quantile within a known error: keeps a bounded summary of the largest values of each unit.

    Values lie in levels 0, 1, 2, ...; a member of level i stands for 2^i values. A full level is sorted, and every
    second member moves one level up: the first of each pair, next time the second (the scheme of Munro and Paterson,
    for all units in step). Such a step moves no rank by more than the weight of the level, so the sum of these weights
    (``rank_error``) bounds the error. Values that certainly do not exceed the quantile are dropped early; the error
    therefore is a small part of the tail, not of all values.
    """

    def __init__(self, units: int, count: int, position: float, memory: int, device: torch.device):
        self.keep = count - interpolation(position, count)[0]  # the quantile is the keep-th largest value
        self.units, self.device = units, device
        capacity, levels = 2, 1
        while True:  # the number of levels depends on the capacity, and the capacity on the number of levels
            levels = max(1, math.ceil(math.log2(max(count / capacity, 1)))) + 2
            larger = 2 * max(1, memory // (8 * units * levels))  # 8 bytes: a float of the level and one to sort
            if larger <= capacity:
                break
            capacity = larger
        self.capacity = max(capacity, 2)
        self.rank_error = self.seen = 0
        self._raised_at = 0  # values seen when the bound was raised
        self._bound = torch.full((units,), -torch.inf, device=device)
        self._levels: list[Tensor] = [self._empty()]
        self._odd: list[bool] = [False]

    def _empty(self) -> Tensor:
        return torch.empty(self.units, 0, device=self.device)

    def add(self, values: Tensor) -> None:
        """values: (K, b) float32."""
        for part in values.split(self.capacity, dim=1):
            self.seen += part.shape[1]
            self._levels[0] = torch.cat([self._levels[0], self._above_bound(part)], dim=1)
            self._compact()

    def _above_bound(self, values: Tensor) -> Tensor:
        """Each unit's values above its bound; units that have fewer than others are filled up with -inf."""
        if not self._raised_at:
            return values
        above = values > self._bound[:, None]
        return values.masked_fill(~above, -torch.inf).topk(int(above.sum(1).max()), dim=1, sorted=False).values

    def _compact(self) -> None:
        """Move every second value of full levels one level up."""
        level = 0
        while level < len(self._levels):
            if self._levels[level].shape[1] >= self.capacity:
                self._raise_bound()
                self._levels[level] = self._above_bound(self._levels[level])
            run = self._levels[level]
            if run.shape[1] >= self.capacity:
                ordered = run[:, : self.capacity].sort(dim=1).values
                self._levels[level] = run[:, self.capacity :].clone()
                if level + 1 == len(self._levels):
                    self._levels.append(self._empty())
                    self._odd.append(False)
                moved = ordered[:, int(self._odd[level]) :: 2]
                self._levels[level + 1] = torch.cat([self._levels[level + 1], moved], dim=1)
                self._odd[level] = not self._odd[level]
                self.rank_error += 2**level
                continue  # the rest of this level may still be full
            level += 1

    def _raise_bound(self) -> None:
        """Raise the bound, such that certainly ``keep`` of the values seen so far lie at or above it."""
        if self.seen >= max(self.keep, self._raised_at * RAISE_AFTER):
            self._raised_at = self.seen
            self._bound = torch.maximum(self._bound, self._from_top(self.keep + self.rank_error))

    def _from_top(self, rank: int) -> Tensor:
        """(K,) the ``rank``-th largest value according to the summary; -inf where it holds fewer."""
        weights = torch.cat([torch.full((run.shape[1],), 2**level, device=self.device, dtype=torch.int64)
                             for level, run in enumerate(self._levels)])
        found = []
        for units in torch.arange(self.units, device=self.device).split(UNITS_AT_ONCE):
            values = torch.cat([run[units] for run in self._levels], dim=1)
            ordered, order = values.sort(dim=1, descending=True)
            place = (weights[order].cumsum(dim=1) < rank).sum(dim=1, keepdim=True)
            found.append(torch.nn.functional.pad(ordered, (0, 1), value=-torch.inf).gather(1, place)[:, 0])
        return torch.cat(found)

    def lower_bound(self) -> Tensor | None:
        """(K,) float32 that the quantile does not fall below; None as long as none is known."""
        return self._bound if self._raised_at else None

    def result(self) -> np.ndarray:
        """(K,) float64, once all values are in: within ``rank_error`` ranks of the exact quantile."""
        return torch.maximum(self._bound, self._from_top(self.keep)).cpu().numpy().astype(np.float64)

    def state(self) -> dict[str, np.ndarray]:
        """What an unfinished run keeps: the levels, the bound and three counters."""
        levels = {f"level{number}": run.cpu().numpy() for number, run in enumerate(self._levels)}
        return {**levels, "odd": np.array(self._odd), "bound": self._bound.cpu().numpy(),
                "counts": np.array([self.rank_error, self.seen, self._raised_at])}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a ``state``."""
        self._odd = [bool(value) for value in state["odd"]]
        self._levels = [torch.from_numpy(state[f"level{number}"]).to(self.device) for number in range(len(self._odd))]
        self._bound = torch.from_numpy(state["bound"]).to(self.device)
        self.rank_error, self.seen, self._raised_at = state["counts"].tolist()
