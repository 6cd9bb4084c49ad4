"""prepare sun: scenes and attributes from a miniature of the published archives."""

from __future__ import annotations

import os

import pytest

from ibc.commands.prepare import COMMAND as main
from tests.datasets import replicas
from tests.datasets.preparing import prepare, rows


def test_sun_joins_scenes_and_attributes(tmp_path):
    votes = replicas.write_sun(tmp_path / "src")
    manifest = prepare("sun", tmp_path / "out", "--source", tmp_path / "src")
    assert manifest["classes"] == ["abbey", "apse/indoor", "beach"]
    assert manifest["attributes"][1] == "ocean"
    train, test = rows(tmp_path / "out", "train.txt"), rows(tmp_path / "out", "test.txt")
    assert (len(train) + len(test), len(test)) == (3 * 17 + 3, 30)
    for name, row in {**train, **test}.items():
        scene = os.path.dirname(name)
        assert row[0] == (replicas.SCENES.index(scene) if scene in replicas.SCENES else 99999)
        shares = votes.get(f"{name}.jpg")
        assert row[1:] == ([2] * 5 if shares is None else [int(round(3 * share) >= 2) for share in shares])
    for scene in replicas.SCENES:  # 2 shared and 3 own images of each scene are annotated: all of them are tested
        inside = [name for name in test if os.path.dirname(name) == scene]
        assert (len(inside), sum(f"{name}.jpg" in votes for name in inside)) == (10, 5)
    assert {f"{name}.jpg" for name in rows(tmp_path / "out", "train_attr.txt")} == set(votes) - {
        f"{name}.jpg" for name in test}


@pytest.mark.parametrize("missing, complaint", [("SUN397.tar.gz", "no ClassName.txt"),
                                                ("SUNAttributeDB.tar.gz", "no images.mat")])
def test_sun_says_which_part_is_missing(tmp_path, capsys, missing, complaint):
    replicas.write_sun(tmp_path / "src", per_scene=3, shared=1, own=1)
    (tmp_path / "src" / missing).unlink()
    assert main(["sun", str(tmp_path / "out"), "--source", str(tmp_path / "src")]) == 2
    assert complaint in capsys.readouterr().err
