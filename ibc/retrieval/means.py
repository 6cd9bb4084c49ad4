"""Means and deviations that are NaN, without a warning, where there is nothing to average."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mean(values: np.ndarray) -> float:
    """The mean; NaN of nothing."""
    return float(np.mean(values)) if len(values) else float("nan")


def mean_of_known(values: np.ndarray) -> float:
    """Mean of the values that are not NaN, such as the mAP of the attributes that some query has."""
    return mean(values[~np.isnan(values)])


def deviation(values: Sequence[float] | np.ndarray) -> float:
    """Standard deviation over draws or repeats (divisor n - 1); NaN of a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
