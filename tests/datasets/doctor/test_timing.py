"""The doctor's clock: neither a slow beginning nor a disturbance counts."""

import time

import pytest
import torch

from ibc.datasets.doctor import timing


@pytest.mark.parametrize(("seconds", "wanted"), [
    ([90, 3, 1, 2], 2),
    ([0.9, *[0.01] * 8, 7, *[0.01] * 99], 0.01),  # one of them while something else was going on
])
def test_the_median_after_a_first_time_counts(monkeypatch, seconds, wanted):
    clock, works = [0.0], iter(seconds)

    def work():
        clock[0] += next(works)

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    assert timing._seconds(work, torch.device("cpu")) == pytest.approx(wanted)
