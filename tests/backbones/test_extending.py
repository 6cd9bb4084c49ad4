"""docs/extending.md is true: its three edits, made in a copy of the package, give a backbone that trains."""

import re
import shutil

import torch

from tests.small_run import ROOT, make_run, run_alone


def test_one_more_backbone_as_the_page_says(tmp_path):
    page = (ROOT / "docs/extending.md").read_text()
    source, lines = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[:2]
    assert len(source.splitlines()) + len(lines.splitlines()) < 60
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "ibc", copy / "ibc", ignore=ignored)
    shutil.copytree(ROOT / "configs", copy / "configs", ignore=ignored)
    (copy / "ibc/backbones/mobilenet.py").write_text(source)
    with open(copy / "ibc/backbones/table.py", "a") as table:
        table.write(lines)
    config = copy / "ibc/config.py"
    config.write_text(config.read_text().replace("BACKBONE_NAMES = (ALEXNET,",
                                                 'BACKBONE_NAMES = (ALEXNET, "mobilenet_v3_small",'))
    path = make_run(tmp_path, model={"backbone": "mobilenet_v3_small", "dropout": 0.0}, max_iter=3)
    trained = run_alone("-m", "ibc", "train", "--config", path, "--freeze", "--output_path", tmp_path, "--device",
                        "cpu", cwd=copy)
    assert trained.returncode == 0, trained.stderr
    checkpoint = tmp_path / "outputs/small/checkpoints/checkpoint_00000003.pt"
    weights = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert weights["enc_style.hash_layer.weight"].shape == (8, 576)
    extracted = run_alone("-m", "ibc", "extract", "--config", path, "--set", "model.backbone=mobilenet_v3_small",
                          "--checkpoint", checkpoint, "--save_name", "test", "--output_path", tmp_path, "--device",
                          "cpu", cwd=copy)
    assert extracted.returncode == 0 and (tmp_path / "results/small/test.npz").exists(), extracted.stderr
