"""Whether Triton builds kernels is found out by a trial, once, and never ends a program."""

import pytest
import torch

from ibc import triton_trial
from ibc.triton_trial import builds_kernels


def fail():
    raise RuntimeError("no C compiler")


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(triton_trial, "find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def test_a_trial_that_fails_is_told(gpu):
    assert builds_kernels(lambda: None)
    with pytest.warns(UserWarning, match=r"Triton builds no kernels here \(RuntimeError: no C compiler\)"):
        assert not builds_kernels(fail)


@pytest.mark.parametrize("missing", ["triton", "gpu"])
def test_without_triton_or_a_gpu_nothing_is_tried(gpu, monkeypatch, missing):
    if missing == "triton":
        monkeypatch.setattr(triton_trial, "find_spec", lambda name: None)
    else:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not builds_kernels(fail)
