"""docs/extending.md is true: the objective that it adds trains, and its loss is that of the formula."""

import json
import re
import shutil

from tests.small_run import ROOT, make_run, run_alone

COMPARE = """
import json, sys, torch
from ibc.config import load_config
from ibc.trainer import Trainer
torch.set_default_dtype(torch.float64)
trainer = Trainer(load_config(sys.argv[1]), plain=True)
for module in trainer.model.modules():
    if isinstance(module, torch.nn.Dropout):
        module.p = 0.0
images, labels = torch.randn(8, 3, 70, 70), torch.tensor([0, 1, 2, 0, 1, 99999, 3, 3])
with torch.no_grad():
    h = trainer.model.hash_logits(trainer.model.features(images)).tolist()
losses = trainer.step(images, labels[:, None].double())
print(json.dumps({"h": h, "labels": labels.tolist(), "losses": {name: float(value) for name, value in losses.items()}}))
"""


def test_one_more_objective_as_the_page_says(tmp_path):
    page = (ROOT / "docs/extending.md").read_text()
    page = page[page.index("## An objective"):]
    source, lines = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[:2]
    assert len(source.splitlines()) + len(lines.splitlines()) < 60
    copy, ignored = tmp_path / "copy", shutil.ignore_patterns("__pycache__")
    for folder in ("ibc", "configs"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
    (copy / "ibc/objectives/dsh.py").write_text(source)
    with open(copy / "ibc/objectives/table.py", "a") as table:
        table.write(lines)
    config = copy / "ibc/config.py"
    config.write_text(config.read_text().replace('OBJECTIVE_NAMES = ("ibc",', 'OBJECTIVE_NAMES = ("ibc", "dsh",'))
    path = make_run(tmp_path, objective="dsh", max_iter=3)
    trained = run_alone("-m", "ibc", "train", "--config", path, "--output_path", tmp_path, "--device", "cpu", cwd=copy)
    assert trained.returncode == 0, trained.stderr
    found = json.loads(run_alone("-c", COMPARE, path, cwd=copy).stdout)
    known = [(row, label) for row, label in zip(found["h"], found["labels"], strict=True) if label != 99999]
    pairs = []
    for i, (a, one) in enumerate(known):
        for j, (b, other) in enumerate(known):
            distance = sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
            if i != j:
                pairs.append((distance if one == other else max(0, 2 * 8 - distance)) / 2)
    near = [abs(abs(x) - 1) for row, _ in known for x in row]
    assert abs(found["losses"]["loss_pairs"] - sum(pairs) / len(pairs)) < 1e-9
    assert abs(found["losses"]["loss_quantise"] - sum(near) / len(near)) < 1e-9
