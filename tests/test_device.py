"""The device of a run, and what the process sets for it."""

import os
import platform
import subprocess
import sys

import pytest
import torch

from ibc.device import resolve_device, tune_process
from ibc.errors import InputError

PAGES = """
import resource, sys, torch
from ibc.device import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory(torch.device("cpu"))
def layers():
    return [torch.ones(millions * 1_000_000, dtype=torch.uint8) for millions in (100, 70, 80)]
def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def repeat(times):
    before = pages()
    for _ in range(times):
        layers()
    return pages() - before
repeat(15)  # where blocks come to lie in the heap changes a few times before it repeats
print(repeat(5))
"""


@pytest.mark.parametrize("given, found", [({}, "32"), ({"CUDA_DEVICE_MAX_CONNECTIONS": "8"}, "8")])
def test_cuda_starts_with_a_hardware_queue_for_every_stream(given, found, root):
    """Commands set it before anything can start CUDA, unless the user says otherwise."""
    others = {name: value for name, value in os.environ.items() if name != "CUDA_DEVICE_MAX_CONNECTIONS"}
    look = ("import os, sys, ibc.device; ibc.device.tune_process(); "
            "print(os.environ['CUDA_DEVICE_MAX_CONNECTIONS'], 'torch' in sys.modules)")
    result = subprocess.run([sys.executable, "-c", look], cwd=root, env=others | given, text=True, check=True,
                            capture_output=True)
    assert result.stdout.split() == [found, "False"]


def test_openmp_waits_as_the_user_says(monkeypatch):
    monkeypatch.setattr(os, "environ", {"OMP_WAIT_POLICY": "active"})
    tune_process()
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.setattr(os, "environ", {})
    tune_process()
    assert os.environ["GOMP_SPINCOUNT"] == "10000"


def test_names_of_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="--device: found cuda, but no usable GPU, expected a CUDA device; use "):
        resolve_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")
    assert resolve_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc")
def test_freed_memory_is_kept(root):
    """Blocks as large as layers' outputs come back as they were: without new pages."""
    given_back, kept = (int(subprocess.run([sys.executable, "-c", PAGES, word], cwd=root, check=True, text=True,
                                           capture_output=True).stdout) for word in ("give back", "keep"))
    assert kept < given_back / 5
