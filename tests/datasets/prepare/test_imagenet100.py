"""prepare imagenet100: classes by rule or from a file."""

from __future__ import annotations

import hashlib

from ibc.datasets.prepare.imagenet100 import ImageNet100Options, plan_imagenet100
from tests.datasets import replicas
from tests.datasets.preparing import prepare, rows


def test_imagenet100_takes_classes_by_rule_or_from_a_file(tmp_path, ilsvrc):
    (tmp_path / "classes.txt").write_text(f"# mine\n{replicas.SYNSETS[4]} strawberry\n\n{replicas.SYNSETS[0]}\n")
    manifest = prepare("imagenet100", tmp_path / "listed", "--source", ilsvrc, "--classes", tmp_path / "classes.txt")
    assert manifest["classes"] == [replicas.SYNSETS[4], replicas.SYNSETS[0]]
    assert len(rows(tmp_path / "listed", "train.txt")) == 6
    test = rows(tmp_path / "listed", "test.txt")
    assert test == {f"val/ILSVRC2012_val_{number:08d}": [0 if replicas.val_class(number) == 4 else 1]
                    for number in range(1, 19) if replicas.val_class(number) in (0, 4)}
    plans = [plan_imagenet100(ImageNet100Options(destination="out", source=[str(ilsvrc)], seed=seed), class_num=3)
             for seed in (0, 0, 1)]
    by_hash = sorted(replicas.SYNSETS, key=lambda name: hashlib.sha256(f"0:{name}".encode()).digest())[:3]
    assert plans[0].classes == plans[1].classes == sorted(by_hash)
    assert plans[2].classes != plans[0].classes
