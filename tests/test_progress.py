"""Progress lines where stderr is no terminal, also within an item that takes long."""

import numpy as np
import pytest

from ibc import progress
from ibc.codes import CodeSet, save_codes
from ibc.commands.evaluate import COMMAND
from ibc.progress import Progress


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_PROGRESS_SECONDS", 0)
    monkeypatch.setattr(progress, "SHARE_SECONDS", 0)


def test_a_long_item_shows_how_much_of_it_is_done(often, capsys):
    with Progress(3, "evaluating", "rankings") as bar:
        bar.within(0.25)
        bar.update()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("evaluating: 0/3 rankings") and lines[0].endswith("25% of the next")
    assert lines[1].startswith("evaluating: 1/3 rankings") and "of the next" not in "".join(lines[1:])


def test_shares_are_shown_at_most_once_a_second(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PLAIN_PROGRESS_SECONDS", 0)
    bar = Progress(3, "evaluating")
    for number in range(1000):
        bar.within(number / 1000)
    assert len(capsys.readouterr().err.splitlines()) <= 1


def test_every_ranking_of_an_evaluation_says_how_far_it_is(often, tmp_path, capsys):
    random = np.random.default_rng(0)
    codes = CodeSet(random.random((600, 8), np.float32), random.integers(0, 3, (600, 2)).astype(np.float32),
                    random.random((3, 8), np.float32))
    save_codes(tmp_path / "c.npz", codes)
    assert COMMAND([str(tmp_path / "c.npz"), "--data", "sun", "--top_k_bits", "4", "--draws", "2"]) == 0
    lines = capsys.readouterr().err.splitlines()
    within = {int(line.split()[1].split("/")[0]) for line in lines if "of the next" in line}
    assert within >= set(range(5))  # all bits, expert bits, vote, and random bits: each of them
