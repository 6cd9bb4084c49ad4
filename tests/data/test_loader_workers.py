"""Worker processes end with the process that they work for."""

import subprocess
import sys

import pytest

from tests.small_run import ROOT

PROGRAM = """
import torch
from ibc.data.loader_workers import by_workers

class Numbers(torch.utils.data.Dataset):
    def __getitems__(self, key):
        return key

batches = by_workers(Numbers(), ([n] for n in range(10**6)), 2)
assert next(batches) == [0]
{end}
"""


@pytest.mark.parametrize("end, code", [("raise RuntimeError('a mistake')", 1), ("batches.kept = batches", 0), (
    "batches.kept = batches; del batches; import gc; gc.collect()", 0)])
def test_workers_end_with_the_program(end, code):
    """Also where something keeps their loader: the frames of an exception, a cycle."""
    result = subprocess.run([sys.executable, "-c", PROGRAM.format(end=end)], check=False, capture_output=True,
                            text=True, timeout=60, cwd=ROOT)
    assert result.returncode == code and ("a mistake" in result.stderr) == (code == 1)
