"""How many CPU cores there are to use: one way to count them."""

from __future__ import annotations

import os

from ibc.text_files import whole_number


def usable_cores() -> int:
    """CPU cores that this process may run on, at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes_here() -> int:
    """Processes that share this machine in one run: as many as torchrun started on it, else 1."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def cores_here() -> int:
    """This process's share of the usable cores in a run of several processes; may be 0."""
    return usable_cores() // processes_here()


def compute_threads() -> int:
    """Threads for a computation: one a usable core, or fewer where ``OMP_NUM_THREADS`` says so."""
    wish = os.environ.get("OMP_NUM_THREADS", "")
    return min(usable_cores(), max(whole_number(wish) or 0, 0)) or usable_cores()
