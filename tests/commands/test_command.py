"""What the commands share, where no command's own tests see it."""

import platform
import subprocess
import sys

import pytest

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc")
def test_freed_memory_is_kept(root):
    """Blocks as large as layers' outputs come back as they were: without new pages."""
    given_back, kept = (int(subprocess.run([sys.executable, "-c", PAGES, word], cwd=root, check=True, text=True,
                                           capture_output=True).stdout) for word in ("give back", "keep"))
    assert kept < given_back / 5
