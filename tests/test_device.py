"""What a process sets before CUDA starts."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("given, found", [({}, "32"), ({"CUDA_DEVICE_MAX_CONNECTIONS": "8"}, "8")])
def test_cuda_starts_with_a_hardware_queue_for_every_stream(given, found, root):
    """Commands set it before anything can start CUDA, unless the user says otherwise."""
    others = {name: value for name, value in os.environ.items() if name != "CUDA_DEVICE_MAX_CONNECTIONS"}
    look = ("import os, sys, ibc.device; ibc.device.tune_process(); "
            "print(os.environ['CUDA_DEVICE_MAX_CONNECTIONS'], 'torch' in sys.modules)")
    result = subprocess.run([sys.executable, "-c", look], cwd=root, env=others | given, text=True, check=True,
                            capture_output=True)
    assert result.stdout.split() == [found, "False"]
