"""prepare caltech101: from a miniature of the published archive."""

from __future__ import annotations

from tests.datasets import replicas
from tests.datasets.preparing import prepare, rows


def test_caltech101_from_the_published_archive(tmp_path):
    replicas.write_caltech101(tmp_path / "caltech-101.zip")
    manifest = prepare("caltech101", tmp_path / "out", "--source", tmp_path / "caltech-101.zip")
    assert manifest["classes"] == ["Faces", "accordion"]
    train, test = rows(tmp_path / "out", "train.txt"), rows(tmp_path / "out", "test.txt")
    assert (len(train), len(test)) == (60, 6)
    assert not set(train) & set(test)
