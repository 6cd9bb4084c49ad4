"""Cores: those that this process may use, shared among the processes of a run."""

import os

import pytest

from ibc.cores import compute_threads, cores_here, processes_here, usable_cores


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for name in ("LOCAL_WORLD_SIZE", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


def test_of_one_process():
    assert (usable_cores(), processes_here(), cores_here(), compute_threads()) == (8, 1, 8, 8)


def test_of_three_processes(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert (usable_cores(), processes_here(), cores_here()) == (8, 3, 2)


@pytest.mark.parametrize(("wish", "threads"), [("2", 2), ("64", 8), ("0", 8), ("many", 8), ("", 8), ("²", 8), ("-4", 8),
                                                ("9" * 5000, 8)])
def test_fewer_threads_on_request(monkeypatch, wish, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", wish)
    assert compute_threads() == threads


def test_where_the_system_does_not_tell(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert usable_cores() == 4
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1
