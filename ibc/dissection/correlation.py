"""Pearson correlation of two series that arrive in batches: filter responses with the codes of the same images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ibc.dissection.resume import State


class Correlation:
    """Pearson correlation of K pairs of series, whose values arrive batch by batch.

    Means and co-moments of the batches are merged in 64 bits (Chan, Golub and LeVeque).
    """

    def __init__(self, units: int, device: torch.device):
        self.count = 0
        self.moments = torch.zeros(5, units, dtype=torch.float64, device=device)  # means of x, y; Sxx, Syy, Sxy

    def add(self, x: Tensor, y: Tensor) -> None:
        """x, y: (B, K)."""
        x, y = x.double(), y.double()
        size = len(x)
        mean_x, mean_y = x.mean(0), y.mean(0)
        x, y = x - mean_x, y - mean_y
        total = self.count + size
        shift_x, shift_y = mean_x - self.moments[0], mean_y - self.moments[1]
        share = self.count * size / total
        self.moments[0] += shift_x * (size / total)
        self.moments[1] += shift_y * (size / total)
        self.moments[2] += (x * x).sum(0) + shift_x * shift_x * share
        self.moments[3] += (y * y).sum(0) + shift_y * shift_y * share
        self.moments[4] += (x * y).sum(0) + shift_x * shift_y * share
        self.count = total

    def result(self) -> np.ndarray:
        """(K,) float64 in [-1, 1]; NaN where a series is constant."""
        _, _, xx, yy, xy = self.moments.cpu().numpy()
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.clip(xy / np.sqrt(xx * yy), -1, 1)

    def state(self) -> State:
        """What an unfinished run keeps."""
        return {"count": np.array(self.count), "moments": self.moments.cpu().numpy()}

    def restore(self, state: State) -> None:
        """Go on from a ``state``."""
        self.count = int(state["count"])
        self.moments = torch.from_numpy(state["moments"]).to(self.moments.device)
